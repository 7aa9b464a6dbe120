import pytest
import torch

from tselcli.models.cells import coarse, fine
from tselcli.models.mask import MaskNet, WordHead
from tselcli.models.readout import Readout


@pytest.fixture
def net():
    torch.manual_seed(0)
    return MaskNet(n_mels=32, text_dim=16, width=8, levels=3, embed_dim=12).eval()


@pytest.mark.parametrize("frames", [1, 7, 16, 41])
def test_any_length_gives_half_as_many_cells(net, frames):
    cells = net.cells(torch.rand(2, frames, 32))
    assert cells.shape == (2, 12, -(-frames // 2), 16)
    assert net.logits(cells, torch.randn(5, 16)).shape == (2, 5, -(-frames // 2), 16)


def test_logits_are_dot_products(net):
    cells, text = torch.randn(1, 12, 3, 16), torch.randn(4, 16)
    logits = net.logits(cells, text)
    wanted = torch.dot(cells[0, :, 2, 5], net.words(text)[3]) * 12**-0.5 + net.bias
    torch.testing.assert_close(logits[0, 3, 2, 5], wanted)


def test_queries_shared_or_given_one_by_one_are_the_same(net):
    cells, text = torch.randn(2, 12, 3, 16), torch.randn(4, 16)
    torch.testing.assert_close(net.logits(cells, text), net.logits(cells, text.expand(2, 4, 16)))


def test_the_answer_to_a_query_does_not_depend_on_the_others(net):
    cells, text = net.cells(torch.rand(1, 20, 32)), torch.randn(4, 16)
    torch.testing.assert_close(net.logits(cells, text)[:, :1], net.logits(cells, text[:1]))


def test_a_batch_is_its_members(net):
    pictures = torch.rand(3, 20, 32)
    alone = torch.cat([net.cells(picture[None]) for picture in pictures])
    torch.testing.assert_close(net.cells(pictures), alone, rtol=1e-3, atol=1e-5)


def test_bands_must_halve_evenly():
    with pytest.raises(ValueError, match="n_mels=30 must be a multiple"):
        MaskNet(n_mels=30, text_dim=16, levels=3)


def test_presence_grows_with_the_surest_cells(net):
    logits = torch.full((1, 2, 10, 16), -4.0)
    logits[0, 1, 3, 4] = 6.0
    picture = torch.ones(1, 20, 32)
    absent, present = net.presence_logits(logits, picture, None)[0].tolist()
    assert present > absent + 1
    assert absent == pytest.approx(-4.0, abs=1e-3)


def test_a_description_that_fits_everything_proves_little(net):
    picture = torch.ones(1, 20, 32)
    with torch.no_grad():
        cells, text = net.cells(picture), torch.nn.functional.normalize(torch.randn(2, 16), dim=1)
        logits = net.logits(cells, text)
        before = net.presence_logits(logits, picture, text)
        torch.testing.assert_close(before, net.presence_logits(logits, picture, None))
        words = net.words(text)
        net.common.copy_(words[1].expand_as(net.common))  # most sounds are as the second says
        net.presence.copy_(torch.tensor([1.0, 0.0, -1.0, 0.0]))
        after = net.presence_logits(logits, picture, text)
        fits = (words @ words[1]) * words.shape[1] ** -0.5 + net.bias
    torch.testing.assert_close(before - after, fits[None])


def test_silent_cells_do_not_vote(net):
    logits = torch.full((1, 1, 10, 16), -4.0)
    logits[0, 0, 3, 4] = 6.0
    picture = torch.ones(1, 20, 32)
    heard = net.presence_logits(logits, picture, None)
    picture[0, 6:8, 8:10] = 0.0
    assert float(net.presence_logits(logits, picture, None).detach()) < float(heard.detach()) - 1


def test_coarse_averages_squares_and_fine_keeps_constants():
    values = torch.arange(12.0).reshape(1, 1, 3, 4)
    assert coarse(values)[0, 0].tolist() == [[2.5, 4.5], [4.25, 5.25]]
    torch.testing.assert_close(
        fine(torch.full((1, 1, 2, 2), 0.7), 3), torch.full((1, 1, 3, 4), 0.7)
    )


def test_the_readout_prefers_sure_and_loud_points():
    readout = Readout(8)
    logits = torch.zeros(1, 1, 4, 4)
    logits[0, 0, 1, 1] = 4.0
    picture = torch.ones(1, 8, 8)
    weights = readout.weights(logits, picture)[0, 0].detach()
    assert float(weights.max()) == 1
    assert float(weights[0, 0]) < 0.4 < 0.8 < float(weights[2, 2])
    picture[0, 2:4, 2:4] = 0.5
    quieter = readout.weights(logits, picture)[0, 0].detach()
    assert float(quieter[2, 2] / quieter[0, 0]) < float(weights[2, 2] / weights[0, 0])


def test_silence_weighs_nothing():
    picture = torch.ones(1, 8, 8)
    picture[0, :4] = 0.0
    weights = Readout(8).weights(torch.zeros(1, 1, 4, 4), picture)[0, 0].detach()
    assert float(weights[:4].max()) < 1e-6


def test_the_posterior_is_a_distribution_that_follows_the_response():
    response = torch.zeros(1, 360)
    response[0, 45] = 0.3
    posterior = Readout(8).posterior(response).exp().detach()
    assert float(posterior.sum()) == pytest.approx(1, abs=1e-5)
    assert int(posterior.argmax()) == 45


def test_coarse_levels_tell_cells_more_than_the_finest_has_channels():
    torch.manual_seed(0)
    net = MaskNet(n_mels=32, text_dim=16, width=4, levels=3, embed_dim=12).eval()
    with torch.no_grad():
        cells = net.cells(torch.rand(1, 64, 32))[0].flatten(1)
    spread = torch.linalg.svdvals(cells - cells.mean(dim=1, keepdim=True))
    assert int((spread > 1e-3 * spread[0]).sum()) > 4  # the rank of 4 channels and no more


def test_a_closed_gate_leaves_the_finest_level_alone(net):
    picture = torch.rand(1, 24, 32)
    with torch.no_grad():
        net.head.gate.weight.zero_()
        net.head.gate.bias.fill_(-50.0)
        shut = net.cells(picture)
        for level in net.head.coarse:
            level.bias.add_(1.0)
        torch.testing.assert_close(net.cells(picture), shut)
        net.head.gate.bias.fill_(50.0)
        assert float((net.cells(picture) - shut).abs().min()) > 0


def test_words_start_linear_and_may_bend():
    torch.manual_seed(0)
    words = WordHead(16, 12, 8, dropout=0.0)
    a, b, zero = torch.randn(16), torch.randn(16), torch.zeros(16)
    bent = words(a + b) + words(zero) - words(a) - words(b)
    torch.testing.assert_close(bent, torch.zeros(12), atol=1e-5, rtol=0)
    torch.nn.init.ones_(words.out.weight)
    bent = words(a + b) + words(zero) - words(a) - words(b)
    assert float(bent.detach().abs().max()) > 1e-3
