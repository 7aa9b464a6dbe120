import numpy as np
import pytest
import torch

from tselcli.acoustics.geometry import delays, sized_array
from tselcli.models.azimuth_losses import AZIMUTH_LOSSES, ce_loss, gaussian_target
from tselcli.models.fusion import (
    FUSIONS,
    ConcatLstm,
    ConcatNet,
    CrossAttentionNet,
    pool_frames,
    sinusoids,
)

PAIRS, FRAMES, LAGS = 6, 501, 96  # 10 s at 32 kHz with a hop of 640 (section V)
WORDS, TOKEN_DIM = 15, 384
NARROW, WIDE = 0.7, 2.5  # width of a peak in samples: what two sounds differ by
MICS = sized_array("square", 0.115).positions
FIRST, SECOND = np.triu_indices(4, 1)

NETS = {
    "concat": lambda: ConcatNet(),
    "concat_audio": lambda: ConcatNet(audio_dim=512),
    "lstm": lambda: ConcatLstm(),
    "lstm_audio": lambda: ConcatLstm(audio_dim=512),
    "attention": lambda: CrossAttentionNet(token_dim=TOKEN_DIM, dropout=0.0),
    "attention_frames": lambda: CrossAttentionNet(token_dim=TOKEN_DIM, dropout=0.0, frames=True),
}


@pytest.fixture(autouse=True)
def _same_weights_and_one_thread():
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # batches this small only wait for a second one
    yield
    torch.set_num_threads(threads)


def correlations(azimuth, width):
    """Give plane waves' correlations (..., P, L): a bump at every pair's delay in samples."""
    azimuth = np.asarray(azimuth, dtype=np.float64)
    tau = delays(MICS, azimuth.ravel()) * 32_000
    peak = torch.from_numpy(tau[:, FIRST] - tau[:, SECOND]).float()
    lag = torch.arange(LAGS) - LAGS // 2
    bumps = torch.exp(-0.5 * ((lag - peak[..., None]) / width) ** 2)
    return bumps.reshape(*azimuth.shape, PAIRS, LAGS)


def random_inputs(name, frames, batch=2):
    """Draw keyword arguments for a network of NETS."""
    made = {"gcc": torch.randn(batch, PAIRS, frames, LAGS)}
    shape = (batch, WORDS, TOKEN_DIM) if "attention" in name else (batch, 512)
    made["text"] = torch.randn(shape)
    if "audio" in name:
        made["audio"] = torch.randn(batch, 512)
    return made


def n_parameters(net):
    return sum(parameter.numel() for parameter in net.parameters())


def resnet18(planes):
    """Count the weights of He et al. 2016, table 1, 18 layers, without the classifier."""

    def block(channels_in, channels):
        body = 9 * channels_in * channels + 9 * channels * channels + 2 * 2 * channels
        shortcut = channels_in * channels + 2 * channels if channels_in != channels else 0
        return body + shortcut

    stages = [(64, 64), (64, 128), (128, 256), (256, 512)]
    stem = 7 * 7 * planes * 64 + 2 * 64
    return stem + sum(block(*pair) + block(pair[1], pair[1]) for pair in stages)


def test_the_count_of_a_resnet18_is_the_published_one():
    assert resnet18(3) + 512 * 1000 + 1000 == 11_689_512  # torchvision's model card


@pytest.mark.parametrize(
    ("audio_dim", "fused", "total"), [(0, 1024, 11_554_920), (512, 1536, 11_739_240)]
)
def test_concat_is_a_resnet18_of_six_planes_and_one_linear_layer(audio_dim, fused, total):
    net = ConcatNet(audio_dim=audio_dim)
    assert resnet18(6) + fused * 360 + 360 == total
    assert n_parameters(net) == total
    assert net.spatial(torch.randn(2, PAIRS, FRAMES, LAGS)).shape == (2, 512)
    assert net.classifier.weight.shape == (360, fused)


@pytest.mark.parametrize(("audio_dim", "total"), [(0, 1_997_160), (512, 1_997_160 + 4 * 256 * 512)])
def test_lstm_reads_all_pairs_beside_the_repeated_text(audio_dim, total):
    def layer(width_in):  # four gates, each with two weights and two biases
        return 4 * (256 * width_in + 256 * 256 + 2 * 256)

    fused = 6 * 96 + 512 + audio_dim
    assert layer(fused) + layer(256) + 256 * 360 + 360 == total
    assert n_parameters(ConcatLstm(audio_dim=audio_dim)) == total


@pytest.mark.parametrize(
    ("token_dim", "frames", "total"),
    [(1024, False, 7_875_688), (768, False, 7_810_152), (1024, True, 7_875_432)],
)
def test_attention_is_four_encoders_and_four_decoders(token_dim, frames, total):
    attention = 4 * (256 * 256 + 256)  # queries, keys, values, output
    feed_forward = (256 * 1024 + 1024) + (1024 * 256 + 256)
    norm = 2 * 256
    encoder = attention + feed_forward + 2 * norm
    decoder = 2 * attention + feed_forward + 3 * norm
    inward = (token_dim * 256 + 256) + (6 * 96 * 256 + 256) + (0 if frames else 256)  # and [CLS]
    assert inward + 4 * encoder + 4 * decoder + 256 * 360 + 360 == total
    net = CrossAttentionNet(token_dim=token_dim, frames=frames)
    assert n_parameters(net) == total
    assert (len(net.encoder.layers), len(net.decoder.layers)) == (4, 4)


def test_layers_of_a_stack_start_with_different_weights():
    net = CrossAttentionNet(token_dim=8)
    for stack in (net.encoder, net.decoder):
        first, second = stack.layers[0], stack.layers[1]
        assert not torch.equal(first.linear1.weight, second.linear1.weight)
        assert not torch.equal(first.self_attn.in_proj_weight, second.self_attn.in_proj_weight)


@pytest.mark.parametrize("name", NETS)
def test_ten_seconds_give_one_answer_or_a_hundred(name):
    net = NETS[name]().eval()
    with torch.no_grad():
        logits = net(**random_inputs(name, FRAMES))
    assert logits.shape == ((2, 100, 360) if net.frames else (2, 360))
    assert net.tokens == ("attention" in name)
    assert logits.isfinite().all()


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("frames", [1, 6])
def test_a_tenth_of_a_second_is_enough(name, frames):
    net = NETS[name]().eval()
    logits = net(**random_inputs(name, frames))
    assert logits.shape == ((2, 1, 360) if net.frames else (2, 360))
    assert logits.isfinite().all()


def test_pooling_averages_five_frames_and_leaves_out_the_rest():
    gcc = torch.arange(12.0)[:, None].expand(1, PAIRS, 12, LAGS)
    assert pool_frames(gcc, 5)[0, :, 0].tolist() == [2.0, 7.0]
    assert pool_frames(gcc[:, :, :3], 5)[0, :, 0].tolist() == [1.0]
    order = torch.arange(PAIRS * LAGS).reshape(1, PAIRS, 1, LAGS).float()
    assert pool_frames(order, 5).flatten().tolist() == list(range(PAIRS * LAGS))


def test_places_are_told_apart_by_sines_of_growing_period():
    code = sinusoids(100, 256)
    assert code[0].tolist() == [0.0, 1.0] * 128
    torch.testing.assert_close(code[:, 0], torch.sin(torch.arange(100.0)))
    torch.testing.assert_close(code[:, 129], torch.cos(torch.arange(100.0) / 100))
    likeness = code @ code.T  # depends on the distance alone, and is largest at home
    torch.testing.assert_close(likeness[3, 10], likeness[60, 67], rtol=1e-4, atol=1e-3)
    assert (likeness.argmax(dim=1) == torch.arange(100)).all()


@pytest.mark.parametrize("name", NETS)
def test_every_input_moves_the_answer(name):
    net = NETS[name]().eval()
    inputs = random_inputs(name, 25)
    with torch.no_grad():
        before = net(**inputs)
        for key in inputs:
            after = net(**{**inputs, key: inputs[key].flip(0)})
            assert (after - before).abs().amax(dim=-1).min() > 1e-3, key


@pytest.mark.parametrize("name", NETS)
def test_a_gradient_reaches_every_parameter(name):
    net = NETS[name]()
    logits = net(**random_inputs(name, 25))
    ce_loss(logits, gaussian_target(torch.full(logits.shape[:-1], 30.0))).backward()
    for key, parameter in net.named_parameters():
        assert parameter.grad.abs().max() > 0, key


@pytest.mark.parametrize("frames", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_padding_says_nothing(frames, training):
    net = CrossAttentionNet(token_dim=16, dropout=0.0, frames=frames).train(training)
    gcc, text = torch.randn(2, PAIRS, 10, LAGS), torch.randn(2, WORDS, 16)
    mask = torch.arange(WORDS) < torch.tensor([[4], [WORDS]])
    logits = net(gcc, text, mask)
    noise = text.clone()
    noise[0, 4:] = torch.nan
    torch.testing.assert_close(net(gcc, noise, mask), logits)
    torch.testing.assert_close(net(gcc[:1], text[:1, :4]), logits[:1], rtol=1e-4, atol=1e-5)
    assert (net(gcc, text)[0] - logits[0]).abs().max() > 1e-3


def test_a_query_without_a_token_still_gets_an_answer():
    net = CrossAttentionNet(token_dim=16, dropout=0.0)
    gcc, text = torch.randn(2, PAIRS, 10, LAGS), torch.randn(2, WORDS, 16)
    mask = torch.arange(WORDS) < torch.tensor([[0], [3]])
    logits = net(gcc, text, mask)
    logits.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters())
    torch.testing.assert_close(net(gcc, text.flip(1), mask)[0], logits[0])
    with torch.no_grad():  # torch takes another way through the layers then
        torch.testing.assert_close(net.eval()(gcc, text, mask), logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(net(gcc[1:], text[1:], mask[1:]), logits[1:], rtol=1e-4, atol=1e-5)


def test_attention_refuses_an_embedding_of_the_mixture():
    net = CrossAttentionNet(token_dim=16)
    with pytest.raises(ValueError, match="no audio embedding"):
        net(torch.randn(1, PAIRS, 5, LAGS), torch.randn(1, 3, 16), audio=torch.randn(1, 512))


def test_the_clip_token_stands_before_frames_that_know_their_place():
    net = CrossAttentionNet(token_dim=16, dropout=0.0)
    gcc, text = torch.randn(1, PAIRS, 25, LAGS), torch.randn(1, 3, 16)
    queries = net._queries(gcc)
    torch.testing.assert_close(queries[0, 0], net.clip)
    frames = 16 * net.correlations(pool_frames(gcc, 5))  # times the root of 256
    torch.testing.assert_close(queries[0, 1:], frames[0] + sinusoids(5, 256))
    assert (net(gcc.flip(2), text) - net(gcc, text)).abs().max() > 1e-3


@pytest.mark.parametrize("both_ways", [False, True])
def test_a_frame_hears_the_future_only_if_asked_to(both_ways):
    net = ConcatLstm(bidirectional=both_ways)
    gcc, text = torch.randn(1, PAIRS, 20, LAGS), torch.randn(1, 512)
    later = gcc.clone()
    later[:, :, 15:] += 1.0
    change = (net(later, text) - net(gcc, text)).abs().amax(dim=-1)[0]
    assert (change[:3] > 0).tolist() == [both_ways] * 3
    assert change[3] > 1e-3


def test_one_token_alone_leaves_attention_no_choice():
    # Reading of equation 6: a softmax over a single key is 1, so no frame can choose.
    net = CrossAttentionNet(token_dim=16, dropout=0.0)
    memory = net.encoder(net.words(torch.randn(1, 1, 16)))
    attend = net.decoder.layers[0].multihead_attn
    answers, weights = attend(torch.randn(1, 9, 256), memory, memory)
    assert (weights == 1).all()
    torch.testing.assert_close(answers, answers[:, :1].expand(-1, 9, -1))


CHOOSERS = {
    "concat": (lambda: ConcatNet(), False),
    "concat_hidden": (lambda: ConcatNet(hidden=64), True),
    "lstm": (lambda: ConcatLstm(), True),
    "attention": (lambda: CrossAttentionNet(token_dim=512, dropout=0.0), True),
}


@pytest.mark.parametrize("name", CHOOSERS)
def test_what_the_text_adds_depends_on_the_sound_but_for_plain_concat(name):
    build, depends = CHOOSERS[name]
    net = build().eval()
    sound, query = torch.randn(2, PAIRS, 10, LAGS), torch.randn(2, 512)
    text = query[:, None] if net.tokens else query
    with torch.no_grad():
        straight, crossed = net(sound, text), net(sound, text.flip(0))
    # l(a, 1) - l(a, 2) against l(b, 1) - l(b, 2)
    gap = (straight[0] - crossed[0]) - (crossed[1] - straight[1])
    assert (float(gap.abs().max()) > 1e-3) == depends


def fit(net, gcc, text, azimuth, loss, steps, rate):
    """Train on all scenes at once; the last loss and the largest error of an argmax, degrees."""
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)
    target = gaussian_target(azimuth)
    for _ in range(steps):
        logits = net(gcc, text)
        value = loss(logits, target)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    with torch.no_grad():  # in training mode: so few steps do not settle the running statistics
        logits = net(gcc, text)
    error = (logits.argmax(dim=-1) - 180 - azimuth + 180) % 360 - 180
    return float(loss(logits, target)), float(error.abs().max())


def least_loss(loss, azimuth):
    """Give the loss of the truth itself: 0, or the entropy of the target."""
    target = gaussian_target(azimuth)
    return float(AZIMUTH_LOSSES[loss](target.clamp_min(1e-30).log(), target))


def swapped_scenes(swapped=True):
    """Two mixtures of the same two sounds, at swapped places or not, each asked for both."""
    here, there = -120.0, 30.0
    widths = [(NARROW, WIDE), (WIDE, NARROW)] if swapped else [(NARROW, WIDE)] * 2
    mixtures = [
        (correlations(here, first) + correlations(there, second)) / 2 for first, second in widths
    ]
    gcc = torch.stack(mixtures).repeat(2, 1, 1)[:, :, None].expand(-1, -1, 10, -1)
    text = 10 * torch.eye(512)[[0, 0, 1, 1]]
    asked = [here, there, there, here] if swapped else [here, here, there, there]
    return gcc, text, torch.tensor(asked)


@pytest.mark.parametrize("swapped", [False, True])
def test_plain_concat_cannot_follow_two_sounds_that_swap_places(swapped):
    gcc, text, azimuth = swapped_scenes(swapped)
    value, _ = fit(ConcatNet(), gcc, text, azimuth, ce_loss, 25, 2e-3)
    # Of four log-odds (here : there) two should be large and two small, but those of the
    # swapped scenes have equal sums: the best an additive model can do is to toss a coin.
    coin = least_loss("ce", azimuth) + np.log(2)
    if swapped:
        assert value > coin - 1e-3
    else:
        assert value < coin - 0.2


def test_an_lstm_can_follow_two_sounds_that_swap_places():
    gcc, text, azimuth = swapped_scenes()
    frames = azimuth[:, None].expand(-1, 2)
    _, error = fit(ConcatLstm(), gcc, text, frames, ce_loss, 110, 3e-3)
    assert error <= 2


def two_source_scenes(net, dim, speed_deg):
    """Place two sounds in four mixtures and ask for each: eight scenes of half a second.

    Args:
        net: its kind of text and of answer is made.
        dim: width of the text feature; every query is a random one.
        speed_deg: degrees from one 100 ms frame to the next.

    Returns:
        gcc (8, P, 25, L), text (8, dim) or (8, 6, dim), azimuth in degrees (8,) or (8, 5).
    """
    draw = torch.Generator().manual_seed(0)
    start = torch.tensor([[-180.0, -60.0], [-120.0, 30.0], [0.0, 135.0], [75.0, -91.0]])
    azimuth = start[..., None] + speed_deg * torch.arange(5)  # (4, 2, 5)
    frames = correlations(azimuth.numpy(), NARROW).mean(dim=1)  # (4, 5, P, L)
    gcc = frames.repeat_interleave(5, dim=1).transpose(1, 2)
    gcc = gcc + 0.03 * torch.randn(gcc.shape, generator=draw)
    gcc = gcc.repeat(2, 1, 1, 1)  # noise and all: only the text tells a scene from its twin
    text = torch.randn((8, 6, dim) if net.tokens else (8, dim), generator=draw)
    asked = torch.cat([azimuth[:, 0], azimuth[:, 1]])
    asked = (asked + 180) % 360 - 180
    return gcc, text, asked if net.frames else asked[:, 0]


@pytest.mark.parametrize(
    ("name", "loss", "steps", "rate"),
    [
        ("concat", "ce", 30, 5e-4),
        ("lstm", "ce", 80, 3e-3),
        ("lstm", "l1", 300, 2e-3),
        ("attention", "ce", 40, 1e-3),
        ("attention_frames", "ce", 85, 5e-4),
    ],
)
def test_eight_scenes_are_learnt_by_heart(name, loss, steps, rate):
    net = NETS[name]()
    dim = TOKEN_DIM if net.tokens else 512
    scenes = two_source_scenes(net, dim, speed_deg=4.0 if net.frames else 0.0)
    value, error = fit(net, *scenes, AZIMUTH_LOSSES[loss], steps, rate)
    assert value - least_loss(loss, scenes[2]) < {"ce": 0.06, "l1": 0.25}[loss]
    assert error <= 2


def test_the_registry_builds_every_network():
    for name, frames, tokens in [
        ("concat", False, False),
        ("concat_lstm", True, False),
        ("cross_attention", False, True),
    ]:
        net = FUSIONS[name](pairs=3)
        assert (net.frames, net.tokens) == (frames, tokens)
        text = torch.randn(2, 4, 1024) if tokens else torch.randn(2, 512)
        assert net(torch.randn(2, 3, 10, LAGS), text).shape[-1] == 360


@pytest.mark.parametrize("name", NETS)
def test_half_precision_changes_little(name):
    if "lstm" in name and torch.backends.cpu.get_cpu_capability() == "AVX2":
        pytest.skip("this processor has no bfloat16, and recurrent layers cannot imitate it")
    net = NETS[name]().eval()
    inputs = random_inputs(name, 25)
    with torch.no_grad():
        exact = net(**inputs)
        with torch.autocast("cpu", torch.bfloat16):
            rough = net(**inputs).float()
    assert (rough - exact).abs().max() < 0.1 * exact.std() + 0.02
