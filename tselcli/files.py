"""Files that are written whole or not at all."""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tselcli.errors import DataError

PART = ".part"  # how the name of a file ends that is being written


def write_text_atomically(path: Path, text: str) -> None:
    """Write a UTF-8 text file, as :func:`write_bytes_atomically` does."""
    write_bytes_atomically(path, text.encode("utf-8", errors="backslashreplace"))


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; folders above it are made.

    A link is followed, and what is no ordinary file (``/dev/stdout``, a pipe) is written to.

    Raises:
        DataError: it cannot be written.
    """
    try:
        ordinary = not path.exists() or stat.S_ISREG(path.stat().st_mode)
        if not ordinary:
            path.write_bytes(content)
            return
    except OSError as error:
        raise unwritable(path, error) from error
    with replacing(Path(os.path.realpath(path))) as temporary:
        temporary.write_bytes(content)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the name of a new file beside ``path`` that takes its place when all went well.

    The name belongs to this call alone, so that several processes may write one file. Folders
    above it are made; after an error nothing is left.

    Raises:
        DataError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PART}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def is_leftover(name: str) -> bool:
    """Say whether a file's name is one that `replacing` gives while it writes."""
    return name.startswith(".") and name.endswith(PART)


def unwritable(path: Path, error: OSError) -> DataError:
    """Say why a file cannot be written."""
    reason = error.strerror or str(error)
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    way_out = "free some space or choose another place" if full else "choose another place"
    return DataError(f"{path}: cannot be written ({reason}); {way_out}")


def make_folder(path: Path) -> None:
    """Make a folder and those above it, if they are missing.

    Raises:
        DataError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; choose another folder") from error
