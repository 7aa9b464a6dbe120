"""A content-addressed store of features on disk.

The key of an entry is the hash of everything that decides its content, so a changed recipe or
sound finds nothing old. Every file starts with the SHA-256 of the rest; a damaged or
half-written file counts as absent. Writing goes through a temporary name, so two processes may
fill one cache and an interruption costs one entry at most.

    CACHE/ab/abcdef....npy = 32 bytes digest + a .npy array
"""

import hashlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tselcli.errors import DataError
from tselcli.files import is_leftover, replacing

DIGEST_BYTES = 32


def content_key(**parts: Any) -> str:
    """Hash named JSON-able parts to a hex key of 64 letters, whatever their order."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, default=_jsonable)
    return hashlib.sha256(text.encode()).hexdigest()


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, Path):
        return value.name
    raise TypeError(f"{type(value).__name__} cannot be part of a cache key")


def default_cache() -> "FeatureCache":
    """Use ``$TSEL_CACHE``, else ``tsel`` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return FeatureCache(Path(os.environ.get("TSEL_CACHE") or Path(base) / "tsel").absolute())


@dataclass(frozen=True)
class FeatureCache:
    """The entries below one folder."""

    folder: Path

    def path(self, key: str) -> Path:
        """Say where an entry stands, there or not."""
        return self.folder / key[:2] / f"{key}.npy"

    def get(self, key: str) -> npt.NDArray[Any] | None:
        """Read an entry, or None where it is absent, damaged or half-written."""
        try:
            raw = self.path(key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        digest, payload = raw[:DIGEST_BYTES], raw[DIGEST_BYTES:]
        if len(digest) < DIGEST_BYTES or hashlib.sha256(payload).digest() != digest:
            return None
        array: npt.NDArray[Any] = np.load(io.BytesIO(payload), allow_pickle=False)
        return array

    def put(self, key: str, array: npt.NDArray[Any]) -> None:
        """Store an entry under its key.

        Raises:
            DataError: the folder cannot be written.
        """
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        payload = buffer.getvalue()
        try:
            with replacing(self.path(key)) as temporary:
                temporary.write_bytes(hashlib.sha256(payload).digest() + payload)
        except DataError as error:
            reason = getattr(error.__cause__, "strerror", None)
            raise DataError(
                f"{self.folder}: cannot write the feature cache ({reason}); "
                "free some space or choose another folder with --cache"
            ) from error

    def leftovers(self) -> set[Path]:
        """List files that somebody was writing when we looked: just now, or before a kill."""
        return {
            Path(folder, name)
            for folder, _, names in os.walk(self.folder)
            for name in names
            if is_leftover(name)
        }

    def remove(self, half_written: set[Path]) -> None:
        """Delete files that were half written at the beginning of a run and still are."""
        for file in half_written:
            file.unlink(missing_ok=True)
