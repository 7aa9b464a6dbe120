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
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tselcli.errors import DataError

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
    return FeatureCache(Path(os.environ.get("TSEL_CACHE") or Path(base) / "tsel"))


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
        path = self.path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(payload).digest() + payload)
            os.replace(temporary, path)
        except OSError as error:
            raise DataError(
                f"{self.folder}: cannot write the feature cache ({error.strerror}); "
                "free some space or choose another folder with --cache"
            ) from error
