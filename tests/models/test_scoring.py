import torch

from tselcli.models.choice import direction_scores
from tselcli.models.scoring import MAX_CELLS, mean_scores, query_groups


def test_blocks_add_up_to_the_scores_of_the_whole():
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 20, 8, generator=draw)
    picture, new = (torch.rand(40, 16, generator=draw) for _ in range(2))
    evidence = [torch.rand(40, 16, k, generator=draw) for k in (3, 5)]
    blocks = zip(*(one.split([12, 12, 16]) for one in evidence), strict=True)
    focus = torch.tensor(15.0)
    scores = mean_scores(blocks, logits, picture, new, focus)
    for q, (score, _) in enumerate(scores):
        whole = direction_scores(logits[q], picture, new, evidence[q], focus)
        torch.testing.assert_close(score, whole)


def test_queries_are_weighed_in_groups_that_fit():
    hour = torch.zeros(1, 90_000, 64)
    groups = list(query_groups(5, hour))
    assert [list(range(5))[group] for group in groups] == [[0, 1], [2, 3], [4]]
    assert 2 * hour.numel() <= MAX_CELLS
    assert list(query_groups(5, torch.zeros(1, 500, 64))) == [slice(0, 5)]
