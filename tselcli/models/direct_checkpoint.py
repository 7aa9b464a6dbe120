"""A network of the paper in one file that cannot run code: safetensors.

    net.*      the network, float16
    text.*     the compact text encoder, where the model uses it
    metadata   format, recipe (YAML), sizes (JSON), figures (JSON), text_config (JSON)

Encoders of other people are not inside; they are opened as the recipe names them.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from tselcli.errors import CheckpointError, RecipeError
from tselcli.features.cache import default_cache
from tselcli.models.checkpoint import fill, find_model, load_checkpoint, read_tensors, stored
from tselcli.models.direct import DirectLocalizer, Semantics, Sizes, build_fusion
from tselcli.models.encoders import METADATA_KEY, CompactTextEncoder, from_tensors
from tselcli.models.localizer import Localizer
from tselcli.recipe import Recipe, recipe_from_dict, recipe_to_yaml
from tselcli.yamlfile import parse_yaml

FORMAT = "tsel-direct-1"


def save_direct(
    path: Path,
    net: nn.Module,
    semantics: Semantics,
    recipe: Recipe,
    sizes: Sizes,
    figures: Mapping[str, Any],
) -> None:
    """Write a checkpoint under a temporary name and rename it."""
    tensors = {f"net.{name}": stored(value) for name, value in net.state_dict().items()}
    metadata = {
        "format": FORMAT,
        "recipe": recipe_to_yaml(recipe),
        "sizes": json.dumps(dataclasses.asdict(sizes)),
        "figures": json.dumps(figures),
    }
    encoder = semantics.words or semantics.clip
    if isinstance(encoder, CompactTextEncoder):
        text, config = encoder.to_tensors()
        tensors |= text
        metadata[METADATA_KEY] = json.dumps(config)
    temporary = path.with_name(path.name + ".part")
    save_file(tensors, temporary, metadata=metadata)
    os.replace(temporary, path)


def open_localizer(
    name_or_path: str, device: torch.device | str = "cpu"
) -> Localizer | DirectLocalizer:
    """Open a bundled or a user's checkpoint of either family.

    Raises:
        CheckpointError: missing, damaged, or without the encoder that it needs.
    """
    path = find_model(name_or_path)
    tensors, metadata = read_tensors(path)
    if metadata.get("format") != FORMAT:
        return Localizer(load_checkpoint(name_or_path, device))
    place = torch.device(device)
    try:
        recipe = recipe_from_dict(parse_yaml(metadata["recipe"], str(path)), str(path))
        sizes = Sizes(**json.loads(metadata["sizes"]))
        compact = None
        if METADATA_KEY in metadata:
            compact = from_tensors(tensors, json.loads(metadata[METADATA_KEY])).to(place)
        net = build_fusion(recipe, sizes)
        fill(net, tensors, "net.")
    except (KeyError, ValueError, TypeError, RecipeError, CheckpointError) as error:
        raise CheckpointError(f"{path}: the parts do not fit together ({error})") from error
    semantics = Semantics(recipe, place, default_cache(), compact)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    name = f"{recipe.name}@{digest[:8]}"
    net.to(place).eval().requires_grad_(False)
    return DirectLocalizer(net, semantics, recipe, sizes, name)
