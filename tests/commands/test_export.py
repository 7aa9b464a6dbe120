import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from tselcli.commands.export import export
from tselcli.errors import RecipeError

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
EXAMPLE = Path(__file__).parents[2] / "examples" / "locate_with_onnx.py"
DEMO = Path(__file__).parents[2] / "tselcli" / "assets" / "demo.flac"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    out = tmp_path_factory.mktemp("onnx") / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's exporter
        return export("mask-compact", out)


def test_onnx_says_what_torch_says(exported):
    assert exported["largest_difference"] < 1e-4
    assert [path.name for path in exported["files"]] == [
        "model.onnx",
        "model.text.onnx",
        "model.vocab.txt",
    ]


@pytest.mark.parametrize(
    ("query", "azimuth"), [("a vehicle accelerating", -46), ("a baby crying", 146)]
)
def test_the_example_localizes_without_torch(exported, query, azimuth):
    program = "import sys; sys.modules['torch'] = sys.modules['tselcli'] = None; " + (
        f"exec(compile(open({str(EXAMPLE)!r}).read(), 'example', 'exec'))"
    )
    words = [str(exported["files"][0]), str(DEMO), "0.12", query]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True
    )
    said = re.fullmatch(r"([+-]\d+) degrees, present: (\d+)%\n", done.stdout)
    assert abs(int(said[1]) - azimuth) < 10
    assert int(said[2]) > 50


def test_another_name_is_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"name a file \.onnx"):
        export("mask-compact", tmp_path / "model.pt")
