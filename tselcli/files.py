"""Files that are written whole or not at all."""

import os
import stat
from pathlib import Path

from tselcli.errors import DataError


def write_text_atomically(path: Path, text: str) -> None:
    """Write a UTF-8 text file, as :func:`write_bytes_atomically` does."""
    write_bytes_atomically(path, text.encode("utf-8", errors="backslashreplace"))


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; folders above it are made.

    A link is followed, and what is no ordinary file (``/dev/stdout``, a pipe) is written to.

    Raises:
        DataError: it cannot be written.
    """
    temporary = path
    try:
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            path.write_bytes(content)
            return
        path = Path(os.path.realpath(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        if temporary != path:
            temporary.unlink(missing_ok=True)
        reason = error.strerror or str(error)
        raise DataError(f"{path}: cannot be written ({reason}); choose another place") from error


def make_folder(path: Path) -> None:
    """Make a folder and those above it, if they are missing.

    Raises:
        DataError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; choose another folder") from error
