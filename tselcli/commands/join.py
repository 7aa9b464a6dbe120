"""``tsel join``: make one model of several whose masks then vote."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from tselcli.errors import CheckpointError
from tselcli.model_sections import MaskRecipe
from tselcli.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tselcli.models.committee import Committee
from tselcli.models.mask import MaskNet
from tselcli.models.reading import packed
from tselcli.recipe import Recipe

# Weights of encoders are compared themselves.
FREE = ("members", "width", "dropout", "text_weights")


def join(models: Sequence[str], out: Path) -> dict[str, Any]:
    """Write a committee of mask networks that analyse and read alike.

    Readout and choice are those of the first; ``tsel calibrate`` fits them to the committee.

    Args:
        models: bundled names, run folders or files; two or more.
        out: safetensors file to write.

    Returns:
        ``members`` and ``parameters`` of the networks together.

    Raises:
        CheckpointError: a model cannot be loaded, or does not go with the first.
    """
    if len(models) < 2:
        raise CheckpointError("one model is no committee; name two or more")
    loaded = [load_checkpoint(model) for model in models]
    first = loaded[0]
    for other, name in zip(loaded[1:], models[1:], strict=True):
        _check(first, other, name)
    nets = [net for one in loaded for net in _members(one)]
    widths = [width for one in loaded for width in _widths(one)]
    width = widths[0] if len(set(widths)) == 1 else tuple(widths)
    rules = first.recipe.model.model_copy(update={"members": len(nets), "width": width})
    recipe = first.recipe.model_copy(update={"model": rules})
    net = Committee(nets)
    slope, offset, *_ = first.net.presence.tolist()
    net.presence.data.copy_(torch.tensor([slope, offset, 0.0, 0.0]))
    figures = {"joined": [one.name for one in loaded]}
    save_checkpoint(out, net, first.readout, first.text, recipe, figures)
    return {"members": len(nets), "parameters": sum(p.numel() for p in net.parameters())}


def _widths(one: Checkpoint) -> tuple[int, ...]:
    assert isinstance(one.recipe.model, MaskRecipe)
    return one.recipe.model.widths


def _members(one: Checkpoint) -> list[MaskNet]:
    net = copy.deepcopy(one.net)
    if isinstance(net, Committee):
        return net.each()
    assert isinstance(net, MaskNet)
    return [net]


def _check(first: Checkpoint, other: Checkpoint, name: str) -> None:
    """Refuse a model that does not go with the first."""
    for section in ("features", "model"):
        if _comparable(first.recipe, section) != _comparable(other.recipe, section):
            raise CheckpointError(
                f"{name}: its {section} differs from that of {first.name}; "
                "join models of one recipe"
            )
    (mine, about), (theirs, of_other) = packed(first.text), packed(other.text)
    same = about == of_other and mine.keys() == theirs.keys()
    if not same or any(not mine[key].equal(theirs[key]) for key in mine):
        raise CheckpointError(
            f"{name}: reads with another text encoder than {first.name}; train one from the other "
            "(train.start), and adapt neither alone"
        )


def _comparable(recipe: Recipe, section: str) -> dict[str, Any]:
    """Give what has to agree of a section."""
    values: dict[str, Any] = getattr(recipe, section).model_dump()
    return {key: of for key, of in values.items() if key not in FREE}
