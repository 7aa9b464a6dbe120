"""A model in one file that cannot run code: safetensors.

    net.*      the mask network, float16; those of a committee in 8 bits, as `eight_bits` says
    readout.*  the learned readout, float32
    text.*     the compact text encoder and its vocabulary, where the model has that one
    metadata   format, recipe (YAML), figures (JSON), text_config (JSON) of the compact encoder,
               or text_encoder (JSON), which names another one; see :mod:`tselcli.models.reading`

Nothing in it depends on a microphone array.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from tselcli.errors import CheckpointError, RecipeError
from tselcli.model_sections import MaskRecipe
from tselcli.models.committee import Committee
from tselcli.models.eight_bits import restored, rounded
from tselcli.models.encoders import CompactTextEncoder
from tselcli.models.mask import MaskNet
from tselcli.models.matching import Matching
from tselcli.models.protocols import TextEncoder
from tselcli.models.reading import Outside, find_again, packed, unpacked
from tselcli.models.readout import Readout, widened
from tselcli.recipe import Recipe, recipe_from_dict, recipe_to_yaml
from tselcli.yamlfile import parse_yaml

FORMAT = "tsel-checkpoint-1"
MEMBERS = "members."  # what the names of a committee's weights begin with
MAX_BYTES = 4_000_000_000
ASSETS = Path(__file__).resolve().parent.parent / "assets"


@dataclass(frozen=True)
class Checkpoint:
    """A loaded model: its parts, the recipe that made it, the figures it was given."""

    net: Matching
    readout: Readout
    text: TextEncoder
    recipe: Recipe
    figures: Mapping[str, Any]
    name: str  # recipe name @ first 8 letters of the file's SHA-256


def build_net(recipe: Recipe, text_dim: int, tutor_dim: int = 0) -> Matching:
    """Make the untrained mask network that a recipe describes.

    Args:
        recipe: the experiment.
        text_dim: of the text embeddings.
        tutor_dim: of a teacher's lessons, while training; 0 is without.

    Raises:
        ValueError: the recipe describes another model.
    """
    rules = recipe.model
    if not isinstance(rules, MaskRecipe):
        raise ValueError(f"model {rules.name}: not a mask network")
    alone = rules.members == 1
    members = [
        MaskNet(
            n_mels=recipe.features.n_mels,
            text_dim=text_dim,
            width=width,
            levels=rules.levels,
            embed_dim=rules.embed_dim,
            word_hidden=rules.word_hidden,
            dropout=rules.dropout,
            tutor_dim=tutor_dim if alone else 0,
        )
        for width in rules.widths
    ]
    return members[0] if alone else Committee(members, tutor_dim)


def bundled_models() -> dict[str, Path]:
    """List the checkpoints that come with the package, by name."""
    return {path.stem: path for path in sorted(ASSETS.glob("*.safetensors"))}


def find_model(name_or_path: str) -> Path:
    """Resolve a bundled name or a path.

    Raises:
        CheckpointError: neither exists.
    """
    bundled = bundled_models()
    if name_or_path in bundled:
        return bundled[name_or_path]
    path = Path(name_or_path)
    if path.is_dir():
        path = path / "best.safetensors"
    if not path.is_file():
        known = ", ".join(bundled) or "none"
        raise CheckpointError(
            f"{name_or_path}: no such model; give a file of `tsel train` "
            f"or a bundled name ({known})"
        )
    return path


def save_checkpoint(
    path: Path,
    net: nn.Module,
    readout: Readout,
    text: TextEncoder,
    recipe: Recipe,
    figures: Mapping[str, Any],
) -> None:
    """Write a checkpoint under a temporary name and rename it."""
    tensors, reading = packed(text)
    learnt = {k: v for k, v in net.state_dict().items() if not k.startswith("tutor.")}
    kept = {f"net.{name}": stored(value) for name, value in learnt.items()}
    members = {name: value for name, value in kept.items() if name.startswith(f"net.{MEMBERS}")}
    tensors |= kept | rounded(members)
    tensors |= {
        f"readout.{name}": value.detach().cpu().float().contiguous()
        for name, value in readout.state_dict().items()
    }
    metadata = {
        "format": FORMAT,
        "recipe": recipe_to_yaml(recipe),
        "figures": json.dumps(figures),
        **reading,
    }
    temporary = path.with_name(path.name + ".part")
    save_file(tensors, temporary, metadata=metadata)
    os.replace(temporary, path)


def stored(value: Tensor) -> Tensor:
    """Give a tensor as a checkpoint keeps it: on the CPU, floats in half precision if they fit."""
    value = value.detach().cpu().contiguous()
    if not value.is_floating_point():
        return value
    half = value.half()
    # A variance over a batch can be larger than half precision reaches.
    return half if torch.isfinite(half).all() else value.float()


def load_checkpoint(name_or_path: str, device: torch.device | str = "cpu") -> Checkpoint:
    """Read a bundled or a user's checkpoint.

    Raises:
        CheckpointError: missing, truncated, not a checkpoint of ours, tensors that do not fit
            the recipe inside, or a text encoder that is not on this machine.
    """
    path = find_model(name_or_path)
    tensors, metadata = read_tensors(path)
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: not a tsel checkpoint (format {metadata.get('format')!r}); "
            "`tsel train` writes one"
        )
    try:
        recipe = recipe_from_dict(parse_yaml(metadata["recipe"], str(path)), str(path))
        text = unpacked(tensors, metadata, recipe.model)
        figures = json.loads(metadata.get("figures", "{}"))
        net = build_net(recipe, text.dim)
        readout = Readout(recipe.features.n_mels)
        fill(net, tensors, "net.")
        place = widened(tensors["readout.place"], len(readout.place))
        fill(readout, tensors | {"readout.place": place}, "readout.")
    except (KeyError, TypeError, ValueError, RecipeError, CheckpointError) as error:
        raise CheckpointError(
            f"{path}: the parts do not fit together ({error}); it is damaged, or of another "
            "version of tsel: train it again"
        ) from error
    reader = _reader(text, recipe, device, str(path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    for part in (net, readout):
        part.to(device).eval().requires_grad_(False)
    return Checkpoint(net, readout, reader, recipe, figures, f"{recipe.name}@{digest[:8]}")


def _reader(
    text: CompactTextEncoder | Outside, recipe: Recipe, device: torch.device | str, model: str
) -> TextEncoder:
    if isinstance(text, Outside):
        return find_again(text, recipe.model.text_weights, device, model)
    return text.to(device)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file: tensors and metadata.

    Raises:
        CheckpointError: too large, damaged or of another kind.
    """
    if path.stat().st_size > MAX_BYTES:
        raise CheckpointError(f"{path}: larger than {MAX_BYTES // 10**9} GB; not a model of ours")
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            tensors = {name: file.get_tensor(name) for name in names}
            metadata = dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path}: cannot be read as safetensors; it is damaged, truncated or of another kind "
            f"({error})"
        ) from error
    try:
        return restored(tensors), metadata
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}; it is damaged: train it again") from error


def take_over(net: nn.Module, name_or_path: str) -> list[str]:
    """Copy the weights of another mask network, where name and shape agree.

    A single network takes them over from the member of a committee that fits best, the first
    of those that fit alike.

    Returns:
        Names of the tensors that stayed as they were.

    Raises:
        CheckpointError: the other model cannot be read, or nothing in it fits.
    """
    tensors, _ = read_tensors(find_model(name_or_path))
    mine = net.state_dict()
    theirs = {name.removeprefix("net."): value for name, value in tensors.items()}
    alone = not any(name.startswith(MEMBERS) for name in mine)
    versions = _members_of(theirs) if alone else [theirs]
    fitting = max((_fitting(mine, version) for version in versions), key=len)
    if not fitting:
        raise CheckpointError(
            f"{name_or_path}: none of its weights fits; train without train.start"
        )
    net.load_state_dict(mine | fitting)
    return [name for name in mine if name not in fitting]


def _members_of(theirs: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """Give the weights as seen by each member alone; those of a single network are one."""
    numbers = {int(name.split(".")[1]) for name in theirs if name.startswith(MEMBERS)}
    return [
        {name.removeprefix(f"{MEMBERS}{number}."): value for name, value in theirs.items()}
        for number in sorted(numbers)
    ] or [theirs]


def _fitting(mine: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: theirs[name].to(value.dtype)
        for name, value in mine.items()
        if name in theirs and theirs[name].shape == value.shape
    }


def fill(module: nn.Module, tensors: Mapping[str, Tensor], prefix: str) -> None:
    """Copy stored tensors into a module, strict about names and shapes."""
    state = {
        name.removeprefix(prefix): value.float() if value.is_floating_point() else value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
    try:
        module.load_state_dict(state, strict=True)
    except RuntimeError as error:
        first, *more = str(error).splitlines()  # the name of the module, then what is wrong
        raise CheckpointError(more[0].strip() if more else first) from error
