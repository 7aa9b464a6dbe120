"""What is installed, read off names and headers without importing anything heavy."""

import hashlib
import json
import platform
import struct
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tselcli import __version__

LIBRARIES = ("torch", "torchaudio", "numpy", "scipy", "soundfile", "transformers", "laion-clap")
EXTRAS = ("onnxruntime", "fastapi")
ASSETS = Path(__file__).resolve().parent / "assets"


def versions() -> list[tuple[str, str]]:
    """Give names and versions: ours first, then the bundled models, Python and libraries."""
    lines = [("tsel", __version__)]
    lines += [("model", _model_name(path)) for path in sorted(ASSETS.glob("*.safetensors"))]
    lines.append(("python", platform.python_version()))
    for name in (*LIBRARIES, *EXTRAS):
        try:
            lines.append((name, version(name)))
        except PackageNotFoundError:
            if name in LIBRARIES:
                lines.append((name, "not installed"))
    return lines


def _model_name(path: Path) -> str:
    """Name a model as answers do: its recipe, and 8 letters of its SHA-256."""
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    recipe = json.loads(content[8 : 8 + size])["__metadata__"]["recipe"]
    name = next(
        line.split(":", 1)[1].strip() for line in recipe.splitlines() if line.startswith("name:")
    )
    return f"{name}@{hashlib.sha256(content).hexdigest()[:8]}"
