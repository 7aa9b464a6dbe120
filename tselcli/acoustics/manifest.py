"""Scenes on disk: one line of JSON each, strict in both directions, and DCASE labels.

A line of ``manifest.jsonl`` is a whole scene (schema ``tsel-scene/4``) and enough to render it
again, bit for bit, given the corpus. It names clips by id and corpus, never by a path. Its keys
are the attributes of `Scene` and `Source`, except that a source's place is written as

    "positions": [[frame, azimuth_deg, elevation_deg, distance_m], ...]

where each entry holds from its 100 ms frame until the next entry: one entry is a source at rest,
none an additive one. ``audio``, where present, is relative to the manifest's folder; it may lead
through a tar file. Of a folder without a manifest, shards in the manner of WebDataset are read:
tar files in which a scene's ``NAME.json`` stands beside the recording, ``NAME.flac``.
"""

import bisect
import functools
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from tselcli.acoustics.geometry import Floats
from tselcli.acoustics.scene import Scene
from tselcli.errors import DataError
from tselcli.tars import members, read_span

SCHEMA = "tsel-scene/4"
BEFORE = ("tsel-scene/2", "tsel-scene/3")  # knew no ambience; no method and no bank
MANIFEST = "manifest.jsonl"
SHARDS = "shards"  # folder of tar files
MAX_LINE = 2**26  # bytes
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
    if not isinstance(audio, str) or not is_inside(audio):
        raise DataError("'audio' must be a path inside the manifest's folder")
    return scene_from_json(values), audio


@dataclass(frozen=True, eq=False)
class SceneList:
    """The scenes of a folder, each read and checked when it is asked for.

    Nothing of them is kept but where each begins, so 50,000 scenes open as fast as 50.

    Attributes:
        files: the manifest, or the shards that hold the scenes.
        spans: of every scene (N, 3): which file, its first byte, how many bytes.
        names: of every scene in shards, without suffix; empty for a manifest.
    """

    files: tuple[Path, ...]
    spans: npt.NDArray[np.int64]
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.spans)

    def __iter__(self) -> Iterator[tuple[Scene, Path]]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> tuple[Scene, Path]:
        """Read a scene and the place of its recording.

        Raises:
            DataError: it is not a scene, or not there any more.
        """
        file, start, size = self.spans[number].tolist()
        place = self.files[file]
        content = read_span(place, (start, size), MAX_LINE, "a scene")
        named = self.names[number] if self.names else str(number % len(self) + 1)
        try:
            scene, audio = read_line(content.decode())
        except UnicodeDecodeError as error:
            raise DataError(
                f"{place}:{named}: not text; `tsel simulate` writes such files"
            ) from error
        except DataError as error:
            raise DataError(f"{place}:{named}: {error}") from error
        return scene, place / f"{named}.flac" if self.names else place.parent / audio

    def digest(self) -> str:
        """Hash all scenes; one byte more or less in any of them gives another value."""
        found = hashlib.sha256()
        for number, place in enumerate(self.files):
            spans = self.spans[self.spans[:, 0] == number, 1:]
            with place.open("rb") as file:
                for start, size in spans.tolist():
                    file.seek(start)
                    found.update(file.read(size) + b"\n")
        return found.hexdigest()


def read_manifest(path: Path) -> SceneList:
    """Open the scenes of a manifest, or of a folder with a manifest or with shards.

    Lines are counted and the first one is read; the others are checked when they are used.

    Raises:
        DataError: no such file, nothing in it, or a first line that is not a scene.
    """
    shards = []
    if path.is_dir():
        path, folder = path / MANIFEST, path
        if not path.exists():
            shards = sorted([*folder.glob("*.tar"), *folder.glob(f"{SHARDS}/*.tar")])
    scenes = _of_shards(shards) if shards else _of_lines(path)
    if not len(scenes):
        raise DataError(f"{path}: holds no scene; `tsel simulate` writes some")
    scenes[0]
    return scenes


def _of_lines(path: Path) -> SceneList:
    spans, start = [], 0
    try:
        with path.open("rb") as file:
            while line := file.readline(MAX_LINE):
                spans.append((0, start, len(line.rstrip(b"\r\n"))))
                start += len(line)
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise DataError(f"{path}: {reason}; `tsel simulate` writes one") from error
    return SceneList((path,), np.array(spans, dtype=np.int64).reshape(-1, 3))


def _of_shards(shards: Sequence[Path]) -> SceneList:
    """Find the scenes of shards: a ``.json`` beside a ``.flac`` of the same name."""
    spans, names = [], []
    for number, shard in enumerate(shards):
        inside = members(shard)
        for name, span in inside.items():
            stem = name.removesuffix(".json")
            if stem != name and f"{stem}.flac" in inside:
                spans.append((number, *span))
                names.append(stem)
    return SceneList(tuple(shards), np.array(spans, dtype=np.int64).reshape(-1, 3), tuple(names))


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


def is_inside(audio: str) -> bool:
    """Say whether a path stays below the folder that it is relative to."""
    path = PurePosixPath(audio)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in audio and audio != ""
