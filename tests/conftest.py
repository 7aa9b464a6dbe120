import functools
import hashlib
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tselcli.models.encoders import CompactTextEncoder

# The same examples at every run; TSEL_EXAMPLES=5000 looks for others, for as long as that takes.
EXAMPLES = os.environ.get("TSEL_EXAMPLES")
settings.register_profile(
    "tsel",
    max_examples=int(EXAMPLES or 30),
    derandomize=EXAMPLES is None,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("tsel")


@st.composite
def _damage(draw, whole):
    """Cut a file, or change, repeat, drop, blank or exchange parts of it, up to four times."""
    content = bytes(whole)
    for _ in range(draw(st.integers(1, 4))):
        if not content:
            break
        first = draw(st.integers(0, len(content) - 1))
        last = min(len(content), first + draw(st.sampled_from([1, 2, 4, 8, 64, 1024])))
        part = content[first:last]
        new = draw(
            st.sampled_from(["cut", "drop", "repeat", "blank", "ones", "flip", "bytes", "move"])
        )
        if new == "cut":
            content = content[:first]
        elif new == "move":
            rest = content[:first] + content[last:]
            place = draw(st.integers(0, len(rest)))
            content = rest[:place] + part + rest[place:]
        else:
            changed = {
                "drop": b"",
                "repeat": part * 2,
                "blank": bytes(len(part)),
                "ones": b"\xff" * len(part),
                "flip": bytes([part[0] ^ (1 << draw(st.integers(0, 7)))]) + part[1:],
            }
            other = changed[new] if new in changed else draw(st.binary(min_size=1, max_size=8))
            content = content[:first] + other + content[last:]
    return content


@pytest.fixture(scope="session")
def damaged():
    """Make a strategy of damaged versions of a file's bytes, and of bytes that never were one."""
    return lambda whole: st.one_of(_damage(whole), _damage(whole), st.binary(max_size=400))


class FileServer:
    """A small web server on this machine, with the habits of a model hub.

    ``files`` maps paths to bytes. ``cut_after`` closes the connection after so many bytes, once.
    ``redirect`` sends every path through another, ``ranges`` says whether parts can be asked for,
    ``checksum`` is what the server claims, and ``asked`` collects (path, range) of all requests.
    """

    def __init__(self):
        self.files, self.asked = {}, []
        self.cut_after = self.checksum = self.status = None
        self.ranges, self.redirect = True, False
        handler = functools.partial(_Handler, self)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, site, *arguments):
        self.site = site
        super().__init__(*arguments)

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        site, path = self.site, self.path.removeprefix("/cdn")
        wanted = self.headers.get("Range")
        site.asked.append((self.path, wanted))
        content = site.files.get(path)
        if content is None or site.status:
            return self._answer(site.status or 404, {})
        headers = {"X-Linked-ETag": f'"{site.checksum or hashlib.sha256(content).hexdigest()}"'}
        if site.redirect and path == self.path:
            return self._answer(302, {**headers, "Location": f"{site.url}/cdn{path}"})
        if site.redirect:
            headers = {}
        start = int(wanted.split("=")[1].rstrip("-")) if wanted and site.ranges else 0
        if start >= len(content):
            return self._answer(416, {})
        status = 206 if wanted and site.ranges else 200
        return self._answer(status, headers, content[start:])

    def _answer(self, status, headers, content=b""):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": len(content)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        cut, self.site.cut_after = self.site.cut_after, None
        self.wfile.write(content[:cut])


@pytest.fixture
def web(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = FileServer()
    yield server
    server.close()


@pytest.fixture
def text_encoder():
    """A random, tiny encoder that spells every word."""
    torch.manual_seed(0)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = special + letters + [f"##{letter}" for letter in letters]
    sizes = {"embed_dim": 8, "hidden": 16, "layers": 1, "heads": 2, "ffn": 16, "max_tokens": 32}
    return CompactTextEncoder(pieces, **sizes).eval().requires_grad_(False)


@pytest.fixture
def write_loudness():
    """Write a teacher that knows loud from quiet, as ONNX: sound (1, N) to two numbers, twice."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    def write(path, embedding=True, inputs=("sound",), length="N", flip="Neg"):
        nodes = [
            helper.make_node("Mul", ["sound", inputs[-1]], ["square"]),
            helper.make_node("ReduceMean", ["square", "axes"], ["loud"], keepdims=1),
            helper.make_node(flip, ["loud"], ["quiet"]),
            helper.make_node("Concat", ["loud", "quiet"], ["odds"], axis=1),
            helper.make_node("Identity", ["odds"], ["embedding"]),
        ]
        sounds = [
            helper.make_tensor_value_info(one, TensorProto.FLOAT, ["B", length]) for one in inputs
        ]
        outputs = ["odds", "embedding"] if embedding else ["odds"]
        told = [helper.make_tensor_value_info(one, TensorProto.FLOAT, None) for one in outputs]
        axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
        graph = helper.make_graph(nodes, "loudness", sounds, told, [axes])
        opset = helper.make_opsetid("", 18)
        onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), str(path))

    return write
