"""Scenes on disk: one line of JSON each, strict in both directions, and DCASE labels.

A line of ``manifest.jsonl`` is a whole scene (schema ``tsel-scene/4``) and enough to render it
again, bit for bit, given the corpus. It names clips by id and corpus, never by a path. Its keys
are the attributes of `Scene` and `Source`, except that a source's place is written as

    "positions": [[frame, azimuth_deg, elevation_deg, distance_m], ...]

where each entry holds from its 100 ms frame until the next entry: one entry is a source at rest,
none an additive one. ``audio``, where present, is relative to the manifest's folder.
"""

import bisect
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from tselcli.acoustics.geometry import Floats
from tselcli.acoustics.scene import Scene
from tselcli.errors import DataError

SCHEMA = "tsel-scene/4"
BEFORE = ("tsel-scene/2", "tsel-scene/3")  # knew no ambience; no method and no bank
MANIFEST = "manifest.jsonl"
PLACE = ("azimuth_deg", "elevation_deg", "distance_m")


def scene_to_json(scene: Scene) -> dict[str, Any]:
    """Turn a scene into plain values for JSON, in a fixed order of keys."""
    values = json.loads(json.dumps({"schema": SCHEMA, **asdict(scene)}))  # tuples become lists
    del values["array"]["channels"]  # a rendered recording has them in the array's order
    for source in values["sources"]:
        place, moving = [source.pop(name) for name in PLACE], source.pop("positions")
        source["positions"] = moving or ([] if place[0] is None else [[0, *place]])
    return dict(values)


def scene_from_json(values: Mapping[str, Any]) -> Scene:
    """Read what `scene_to_json` gave.

    Raises:
        DataError: another schema; a key or value that is missing, unknown or of a wrong type.
    """
    if isinstance(values, Mapping) and values.get("schema") in BEFORE:
        values = _as_today(values)
    if not isinstance(values, Mapping) or values.get("schema") != SCHEMA:
        raise DataError(f"scene: no 'schema: {SCHEMA}' in it; `tsel simulate` writes such scenes")
    try:
        fields = {key: value for key, value in values.items() if key != "schema"}
        fields["sources"] = [_with_place(source) for source in fields["sources"]]
        # By way of JSON: strict mode then takes lists for tuples, but no "5" for 5.
        scene = _adapter().validate_json(json.dumps(fields), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(f"scene: {where}: {first['msg']}; simulate it again") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"scene: sources are missing or malformed ({error!r})") from error
    # A scene that does not come back as it was has keys that we do not know.
    if scene_to_json(scene) != values:
        raise DataError("scene: has keys that are unknown or missing; simulate it again")
    return scene


def _as_today(values: Mapping[str, Any]) -> dict[str, Any]:
    """Write a scene of a schema before as one of ours; for a while its arrays had channels."""
    shoebox = "size_m" in (values.get("room") or {})
    method = "pyroomacoustics" if shoebox else None
    new = {"ambience": None, "method": method, "bank_room": None}
    if values["schema"] == BEFORE[1]:
        del new["ambience"]
    today = {**new, **values, "schema": SCHEMA}
    if isinstance(today.get("array"), Mapping) and today["array"].get("channels", 0) is None:
        today["array"] = {key: of for key, of in today["array"].items() if key != "channels"}
    return today


@functools.cache
def _adapter() -> TypeAdapter[Scene]:
    return TypeAdapter(Scene)  # slow to make


def _with_place(source: Mapping[str, Any]) -> dict[str, Any]:
    """Say where a source begins; the positions of a source at rest are no more than that."""
    fields = dict(source)
    positions = fields.pop("positions")
    frames = [frame for frame, *_ in positions]
    if frames != sorted(set(frames)) or frames[:1] not in ([], [0]):
        raise DataError("scene: frames of a source's positions must ascend from 0")
    _, *place = positions[0] if positions else (0, None, None, None)
    moving = positions if len(positions) > 1 else None
    return {**fields, **dict(zip(PLACE, place, strict=True)), "positions": moving}


def expand_positions(positions: Sequence[Sequence[float | None]], frames: int) -> Floats:
    """Give a source's place in every frame.

    Args:
        positions: ``positions`` of a source: frame, azimuth, elevation, distance.
        frames: how many frames of 100 ms, T.

    Returns:
        (T, 3): azimuth and elevation in degrees, distance in metres; NaN where there is none.
    """
    track = np.full((frames, 3), np.nan)
    for frame, *place in positions:
        track[int(frame or 0) :] = np.array(place, dtype=np.float64)  # None becomes NaN
    return track


def scene_line(scene: Scene, audio: str) -> str:
    """Write the manifest's line of a scene, without the line end."""
    return json.dumps({**scene_to_json(scene), "audio": audio}, ensure_ascii=False)


def read_line(line: str) -> tuple[Scene, str]:
    """Read a manifest's line: the scene and its audio file, relative to the manifest.

    Raises:
        DataError: not such a line.
    """
    try:
        values = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise DataError(f"not a line of JSON ({error}); simulate it again") from error
    audio = values.pop("audio", None) if isinstance(values, dict) else None
    if not isinstance(audio, str) or not _is_inside(audio):
        raise DataError("'audio' must be a path inside the manifest's folder")
    return scene_from_json(values), audio


def read_manifest(path: Path) -> list[tuple[Scene, Path]]:
    """Read all scenes of a manifest (or of the folder it is in) with their audio files.

    Raises:
        DataError: no such file, nothing in it, or a line that is not a scene.
    """
    path = path / MANIFEST if path.is_dir() else path
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(
            f"{path}: {error.strerror or 'cannot be read'}; `tsel simulate` writes one"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file; `tsel simulate` writes a manifest") from error
    scenes = []
    for number, line in enumerate(lines, start=1):
        try:
            scene, audio = read_line(line)
        except DataError as error:
            raise DataError(f"{path}:{number}: {error}") from error
        scenes.append((scene, path.parent / audio))
    if not scenes:
        raise DataError(f"{path}: holds no scene; `tsel simulate` writes some")
    return scenes


def dcase_text(scene: Scene) -> str:
    """Write a rendered scene's labels in the format of DCASE 2020 to 2022.

    Lines ``frame,class,source,azimuth,elevation`` without a header: one for each directional
    source in each frame of 100 ms in which its clip sounds, in the order of frames. Class and
    source are both the source's number in the scene, so 0 is the target. Angles are whole
    degrees, azimuth in [-180, 180). Additive sources have no direction, and no line.
    """
    rows = []
    for number, source in enumerate(scene.sources):
        if source.azimuth_deg is None or source.elevation_deg is None:
            continue
        way = source.positions or ((0, source.azimuth_deg, source.elevation_deg, None),)
        frames = [frame for frame, *_ in way]
        for first, stop in source.active or ():
            for frame in range(first, stop):
                _, azimuth, elevation, _ = way[bisect.bisect(frames, frame) - 1]
                rows.append(
                    (frame, number, number, (round(azimuth) + 180) % 360 - 180, round(elevation))
                )
    return "".join(",".join(map(str, row)) + "\n" for row in sorted(rows))


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


def _is_inside(audio: str) -> bool:
    path = PurePosixPath(audio)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in audio and audio != ""
