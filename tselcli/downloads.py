"""Downloads that can be interrupted: what is there is kept, and the next try goes on from there.

A file grows under a temporary name, ``FILE.part``, and gets its own only when it is whole: as
long as the server said, and with the SHA-256 that the server names for it (hubs of large files
send it as ``X-Linked-ETag``). So a file under its own name is never half a file.
"""

import hashlib
import http.client
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tselcli.console import progress_bar
from tselcli.errors import CheckpointError, DataError

BLOCK = 1 << 20  # bytes read at once, and a step of the progress bar
TIMEOUT_S = 30.0
SHA256 = re.compile(r"[0-9a-f]{64}")
CHECKSUM_HEADER = "X-Linked-ETag"
BROKEN = (http.client.HTTPException, ConnectionError, TimeoutError, urllib.error.URLError)


class NotOnServerError(CheckpointError):
    """The server answers, but has no such file."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects and keeps the checksum that stands in the first answer."""

    checksum = ""

    def redirect_request(
        self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, url: Any
    ) -> Any:
        self.checksum = self.checksum or headers.get(CHECKSUM_HEADER, "")
        return super().redirect_request(req, fp, code, msg, headers, url)


def download(url: str, target: Path, md5: str | None = None) -> str:
    """Download a file, going on with what an earlier try has left.

    Args:
        url: http or https.
        target: the file to write; folders above it are made.
        md5: of the file in hex; None where it is not known.

    Returns:
        SHA-256 of the file in hex.

    Raises:
        NotOnServerError: the server has no such file.
        CheckpointError: the server cannot be reached, breaks off or sends something else.
        DataError: the file cannot be written.
    """
    if not url.startswith(("http://", "https://")):
        raise CheckpointError(f"{url}: no web address; it starts with http:// or https://")
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        checksum = _append(url, part, target.name)
        found = _digest(part, "sha256")
        if SHA256.fullmatch(checksum):
            _compare(url, part, "SHA-256", found, checksum)
        if md5 is not None:
            _compare(url, part, "MD5", _digest(part, "md5"), md5)
        part.replace(target)
    except OSError as problem:
        raise DataError(
            f"{target}: cannot be written ({problem.strerror or problem}); free some space or "
            "choose another folder (for models with the environment variable TSEL_CACHE)"
        ) from problem
    return found


def _append(url: str, part: Path, label: str) -> str:
    """Download what a partial file still lacks; give the checksum that the server names."""
    have = part.stat().st_size if part.is_file() else 0
    redirects = _Redirects()
    try:
        response = _open(url, have, redirects)
        with response:
            if response.status != http.client.PARTIAL_CONTENT:
                have = 0  # the server starts over
            total = have + int(response.headers.get("Content-Length") or 0)
            _write(response, part, have, total, label)
    except BROKEN as problem:
        raise CheckpointError(_explain(url, problem)) from problem
    size = part.stat().st_size
    if size < total:
        raise CheckpointError(
            f"{url}: broke off after {size / 1e6:.1f} of {total / 1e6:.1f} MB; "
            "run the command again to go on from there"
        )
    checksum = redirects.checksum or response.headers.get(CHECKSUM_HEADER, "")
    return str(checksum).strip('"')


def _open(url: str, have: int, redirects: _Redirects) -> Any:
    """Ask for a file from byte ``have`` on; for all of it where there is nothing behind it."""
    opener = urllib.request.build_opener(redirects)
    headers = {"User-Agent": "tsel", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        return opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S)
    except urllib.error.HTTPError as answer:
        answer.close()
        if answer.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return _open(url, 0, redirects)
        if answer.code == http.client.NOT_FOUND:
            raise NotOnServerError(f"{url}: not on the server; check --url-base") from answer
        raise


def _write(response: Any, part: Path, have: int, total: int, label: str) -> None:
    steps = -(-total // BLOCK)
    with (
        part.open("r+b" if have else "wb") as file,
        progress_bar(label, steps, "MB", done=have // BLOCK) as advance,
    ):
        file.seek(have)
        while block := response.read(BLOCK):
            file.write(block)
            advance()
        file.truncate()


def _explain(url: str, problem: BaseException) -> str:
    if isinstance(problem, urllib.error.HTTPError):
        return f"{url}: the server answers {problem.code} {problem.reason}; try again later"
    reason = getattr(problem, "reason", problem) or type(problem).__name__
    return (
        f"{url}: cannot be reached ({reason}); check the network, name a mirror with --url-base, "
        "or copy the files into a folder and name that"
    )


def _compare(url: str, part: Path, kind: str, found: str, wanted: str) -> None:
    """Remove what arrived if its checksum is another than it should be."""
    if found != wanted:
        part.unlink()
        raise CheckpointError(
            f"{url}: arrived with {kind} {found[:12]}... instead of {wanted[:12]}...; "
            "what arrived is removed, run the command again"
        )


def _digest(path: Path, kind: str) -> str:
    hashing = hashlib.new(kind, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            hashing.update(block)
    return hashing.hexdigest()
