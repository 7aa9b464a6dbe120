"""The model without torch: two graphs of ONNX, and the vocabulary beside them.

    model.onnx         power (T, F), text (Q, D) -> weights (Q, T, F), presence (Q,), logits
    model.text.onnx    tokens (Q, K), mask (Q, K) -> text (Q, D)
    model.vocab.txt    word pieces, one per line

``power`` is the mean over microphones of the power of the STFT, with zeros at the end up to a
multiple of ``frames`` (in the graph's metadata); ``weights`` says how much every bin counts when
the recording is steered, from the mask and the learned readout.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tselcli.errors import CheckpointError
from tselcli.features.stft import log_mel, mel_bands, mel_power, spread_mask
from tselcli.models.checkpoint import Checkpoint
from tselcli.models.reading import compact_only

OPSET = 18
MAX_BLOCKS = 100_000


class _Mask(nn.Module):
    """From power and text to weights: what the localizer does before it steers."""

    bands: Tensor

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.features = checkpoint.recipe.features
        self.net, self.readout = checkpoint.net, checkpoint.readout
        rate, n_fft, n_mels = (
            self.features.sample_rate,
            self.features.n_fft,
            self.features.n_mels,
        )
        self.register_buffer("bands", mel_bands(rate, n_fft, n_mels))

    def forward(self, power: Tensor, text: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Weigh bins: power (T, F), text (Q, D) to weights (Q, T, F), presence (Q,), logits."""
        pool = self.features.mel_pool
        picture = log_mel(mel_power(power[None], self.bands, pool))
        logits = self.net.logits(self.net.cells(picture), text)
        presence = torch.sigmoid(self.net.presence_logits(logits, picture, text))[0]
        weights = self.readout.weights(logits, picture)[0]
        return spread_mask(weights, self.bands, pool, power.shape[0]), presence, logits[0]


class _Text(nn.Module):
    """The text encoder, from word pieces to unit vectors."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.encoder = compact_only(checkpoint.text, checkpoint.name, "export")

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Embed word pieces (Q, K) with their mask: (Q, D)."""
        embedded: Tensor = self.encoder(tokens, mask)
        return embedded


def export_onnx(checkpoint: Checkpoint, out: Path) -> list[Path]:
    """Write the graphs of a model and its vocabulary.

    Args:
        checkpoint: on the CPU.
        out: ``NAME.onnx``; the others stand beside it.

    Returns:
        The files.

    Raises:
        CheckpointError: the packages of the extra ``onnx`` are missing, or the model reads with
            an encoder that is not inside.
    """
    features = checkpoint.recipe.features
    encoder = compact_only(checkpoint.text, checkpoint.name, "export")
    text_graph, words = out.with_suffix(".text.onnx"), out.with_suffix(".vocab.txt")
    power = torch.rand(8 * frame_multiple(checkpoint), features.n_fft // 2 + 1)
    text = torch.nn.functional.normalize(torch.randn(2, encoder.dim), dim=-1)
    free, whole = torch.export.Dim.DYNAMIC, frame_multiple(checkpoint)
    length = whole * torch.export.Dim("blocks", min=1, max=MAX_BLOCKS)
    _write(
        _Mask(checkpoint),
        (power, text),
        ({0: length}, {0: free}),
        out,
        ("power", "text"),
        ("weights", "presence", "logits"),
    )
    tokens, mask = encoder.tokenize(["a dog barking", "rain"])
    axes = {0: free, 1: free}
    _write(
        _Text(checkpoint), (tokens, mask), (axes, axes), text_graph, ("tokens", "mask"), ("text",)
    )
    words.write_text("\n".join(encoder.vocabulary) + "\n", encoding="utf-8")
    _describe(out, checkpoint)
    return [out, text_graph, words]


@torch.no_grad()
def check_onnx(checkpoint: Checkpoint, path: Path) -> float:
    """Run the graphs with onnxruntime: the largest difference from torch in any output.

    Raises:
        CheckpointError: onnxruntime is missing.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    network = onnxruntime.InferenceSession(str(path))
    encoder = onnxruntime.InferenceSession(str(path.with_suffix(".text.onnx")))
    reader = compact_only(checkpoint.text, checkpoint.name, "export")
    ours, worst = _Mask(checkpoint).eval(), 0.0
    bins = checkpoint.recipe.features.n_fft // 2 + 1
    for blocks, queries in (
        (1, ["rain"]),
        (5, ["a dog barking", "a car", "x"]),
        (31, ["rain", "a"]),
    ):
        tokens, mask = reader.tokenize(queries)
        (text,) = encoder.run(None, {"tokens": tokens.numpy(), "mask": mask.numpy()})
        expected = reader(tokens, mask)
        power = torch.rand(blocks * frame_multiple(checkpoint), bins) ** 8
        power[3 * len(power) // 4 :] = 0  # silence
        heard = network.run(None, {"power": power.numpy(), "text": expected.numpy()})
        pairs = zip([text, *heard], [expected, *ours(power, expected)], strict=True)
        off = [float(np.abs(a - b.numpy()).max()) for a, b in pairs]
        worst = max(worst, *(math.inf if math.isnan(one) else one for one in off))
    return worst


def _missing(error: ModuleNotFoundError) -> CheckpointError:
    return CheckpointError(f"{error.name}: not installed; `pip install 'tselcli[onnx]'` brings it")


def frame_multiple(checkpoint: Checkpoint) -> int:
    """Give what the number of frames must be a multiple of; zeros at the end change nothing."""
    return int(checkpoint.recipe.features.mel_pool * checkpoint.net.step)


def _write(
    network: nn.Module,
    inputs: tuple[Tensor, ...],
    axes: tuple[dict[int, object], ...],
    path: Path,
    names: Sequence[str],
    results: Sequence[str],
) -> None:
    """Write one graph."""
    try:
        program = torch.onnx.export(
            network.eval(),
            inputs,
            input_names=list(names),
            output_names=list(results),
            dynamic_shapes=axes,
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    assert program is not None
    program.save(str(path))


def _describe(path: Path, checkpoint: Checkpoint) -> None:
    """Write into the graph what its user has to know of the analysis."""
    import onnx

    features = checkpoint.recipe.features
    model = onnx.load(str(path))
    about = {
        "model": checkpoint.name,
        "sample_rate": features.sample_rate,
        "n_fft": features.n_fft,
        "hop": features.hop,
        "frames": frame_multiple(checkpoint),
    }
    for key, value in about.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, json.dumps(value)
    onnx.save(model, str(path))
