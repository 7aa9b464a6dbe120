"""An array of one's own in a YAML file.

    name: table array            # optional; otherwise the file's name
    mics:                        # metres: x front, y left, z up; z may be left away
      front left: [0.05, 0.05]
      back left: [-0.05, 0.05]
      back right: [-0.05, -0.05]
      front right: [0.05, -0.05]
    channels: [null, front left, front right, back right, back left]

With names, ``channels`` says what is on each channel of the recording; null is no microphone. A
plain list of positions has no names: there ``channels`` gives each microphone's channel, counted
from 1. Without ``channels`` the microphones are in the order of the recording's channels.
"""

from pathlib import Path
from typing import Any

from tselcli.acoustics.geometry import MAX_MICS, MAX_REACH_M, WAYS, MicArray
from tselcli.errors import RecipeError
from tselcli.problems import did_you_mean
from tselcli.yamlfile import read_yaml

KEYS = ("mics", "name", "channels")
MAX_CHANNELS = 256  # of a recording


def read_array_file(path: Path) -> MicArray:
    """Read the microphones of a YAML file.

    Raises:
        RecipeError: it holds something else, or positions or channels that make no sense.
    """
    content = read_yaml(path)
    if not isinstance(content, dict) or "mics" not in content:
        raise RecipeError(f"{path}: its key 'mics' is missing; {WAYS}")
    for key in content:
        if key not in KEYS:
            hint = did_you_mean(str(key), KEYS)
            raise RecipeError(f"{path}: unknown key '{key}'{hint}; there are {', '.join(KEYS)}")
    rows = content["mics"]
    if not isinstance(rows, list | dict) or not 2 <= len(rows) <= MAX_MICS:
        raise RecipeError(f"{path}: 'mics' must list 2 to {MAX_MICS} positions; {WAYS}")
    names = [str(name) for name in (rows if isinstance(rows, dict) else range(1, len(rows) + 1))]
    places = list(rows.values()) if isinstance(rows, dict) else rows
    mics = tuple(_position(path, *both) for both in zip(names, places, strict=True))
    if len(set(mics)) < len(mics):
        raise RecipeError(f"{path}: two microphones at the same place; give each its own position")
    name = content.get("name", path.stem)
    if not isinstance(name, str) or not name.strip():
        raise RecipeError(f"{path}: 'name' is {name!r}; write a text or leave it away")
    channels = None
    if content.get("channels") is not None:
        by_name = names if isinstance(rows, dict) else None
        channels = _channels(path, content["channels"], len(mics), by_name)
    return MicArray(name, mics, channels=channels)


def _position(path: Path, name: str, row: Any) -> tuple[float, float, float]:
    """Check one ``[x, y]`` or ``[x, y, z]``; without z it is 0."""
    numbers = row if isinstance(row, list) else []
    fine = all(
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) <= MAX_REACH_M  # also catches NaN and infinity
        for value in numbers
    )
    if not fine or len(numbers) not in (2, 3):
        raise RecipeError(
            f"{path}: microphone {name} is {row!r}; "
            f"give [x, y, z] in metres, each within {MAX_REACH_M:g} m of the array's origin"
        )
    x, y, z = (*numbers, 0.0) if len(numbers) == 2 else numbers
    return float(x), float(y), float(z)


def _channels(path: Path, given: Any, count: int, names: list[str] | None) -> tuple[int, ...]:
    """Say which channel, from 0, each microphone is on."""
    listed = given if isinstance(given, list) and len(given) <= MAX_CHANNELS else []
    if names is not None:
        heard = [None if name is None else str(name) for name in listed]
        if sorted(name for name in heard if name is not None) != sorted(names):
            raise RecipeError(
                f"{path}: 'channels' must name each of {', '.join(names)} once, in the order of "
                "the recording's channels, with null for a channel that is none of them"
            )
        return tuple(heard.index(name) for name in names)
    whole = all(type(channel) is int and 1 <= channel <= MAX_CHANNELS for channel in listed)
    if not whole or len(listed) != count or len(set(listed)) < count:
        raise RecipeError(
            f"{path}: 'channels' is {given!r}; give {count} different channels of the recording, "
            "counted from 1, one for each microphone"
        )
    return tuple(channel - 1 for channel in listed)
