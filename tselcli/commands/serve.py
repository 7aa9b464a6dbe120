"""``tsel serve``: the localizer as a page in the browser."""

import ipaddress
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tselcli.errors import DataError, RecipeError
from tselcli.models.direct_checkpoint import open_localizer
from tselcli.models.training import pick_device

LOOPBACK = ["127.0.0.1", "localhost", "[::1]"]


def serve(
    *,
    model: str = "mask-compact",
    device: str = "auto",
    host: str = "127.0.0.1",
    port: int = 8000,
    max_mb: int = 200,
    ready: Callable[[str], None] = lambda address: None,
) -> None:
    """Answer the page until interrupted.

    Args:
        model: bundled name, checkpoint file or run folder.
        device: auto, cpu, cuda or mps.
        host: address to listen on; others than this machine's own let anybody in.
        port: to listen on; 0 takes a free one.
        max_mb: of one recording.
        ready: called with the page's address once it can be opened.

    Raises:
        RecipeError: the extra ``web`` is not installed.
        DataError: the address is in use, or not ours.
        CheckpointError: the model cannot be loaded.
    """
    try:
        import uvicorn

        from tselcli.web import build_app
    except ModuleNotFoundError as error:
        raise RecipeError(
            f"{error.name}: not installed; `pip install 'tselcli[web]'` brings it"
        ) from error
    hosts = LOOPBACK if _is_loopback(host) else ["*"]
    listener = _listen(host, port)
    localizer = open_localizer(model, pick_device(device))
    with tempfile.TemporaryDirectory(prefix="tsel-") as home:
        app = build_app(localizer, Path(home), max_mb * 10**6, hosts)
        config = uvicorn.Config(app, log_level="warning", access_log=False)
        ready(f"http://{host}:{listener.getsockname()[1]}/")
        uvicorn.Server(config).run(sockets=[listener])


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"{host}:{port}: {reason}; choose another --port or --host") from error
    return listener
