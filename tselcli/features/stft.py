"""From samples to the log-mel picture that the mask network reads.

All functions are differentiable, batched and follow the device of their input. The picture is
made of one reference channel, the mean over microphones of the power, so that it does not
depend on the array.
"""

import functools
from collections.abc import Iterator

import torch
import torchaudio.functional as taf
from torch import Tensor

FLOOR = 1e-8  # relative to the loudest frame: 80 dB below it everything looks like silence
AT_ONCE = 2**17  # bins of all channels for each core: a spectrum of 1 MB stays in its cache


def stft(signal: Tensor, n_fft: int, hop: int, centred: bool = True) -> Tensor:
    """Transform to time and frequency with a periodic Hann window.

    Args:
        signal: real samples (..., N), any number of leading axes.
        n_fft: window and transform length in samples.
        hop: samples from one frame to the next.
        centred: frame k stands around sample ``k * hop``, with zeros beyond the ends, so that
            ``T = 1 + N // hop``; otherwise it starts there and nothing is added.

    Returns:
        One-sided spectrum, complex (..., T, F) with ``F = n_fft // 2 + 1``.
    """
    window = torch.hann_window(n_fft, dtype=signal.dtype, device=signal.device)
    flat = signal.reshape(-1, signal.shape[-1])
    spectrum = torch.stft(
        flat, n_fft, hop, window=window, center=centred, pad_mode="constant", return_complex=True
    )
    return spectrum.transpose(-1, -2).reshape(*signal.shape[:-1], -1, n_fft // 2 + 1)


def block_frames(n_channels: int, n_fft: int, multiple: int = 1) -> int:
    """Say how many frames to work on at once; a whole ``multiple``."""
    frames = AT_ONCE * torch.get_num_threads() // (n_channels * (n_fft // 2 + 1))
    return max(multiple, frames - frames % multiple)


def stft_blocks(signal: Tensor, n_fft: int, hop: int) -> Iterator[Tensor]:
    """Transform as :func:`stft`, centred, in blocks of consecutive frames.

    A whole spectrum is written to memory and read back at every step that follows; a block is
    still in the cache, which is several times as fast.

    Args:
        signal: real samples (B, C, N).
        n_fft: window and transform length in samples.
        hop: samples from one frame to the next.

    Yields:
        Complex (B, C, T of the block, F); joined over T, they are the whole spectrum.
    """
    padded = torch.nn.functional.pad(signal, (n_fft // 2, n_fft // 2))
    yield from frame_blocks(padded, n_fft, hop, block_frames(signal[..., 0].numel(), n_fft))


def frame_blocks(signal: Tensor, n_fft: int, hop: int, frames: int) -> Iterator[Tensor]:
    """Transform as :func:`stft`, not centred, ``frames`` at a time: (..., frames, F)."""
    window = torch.hann_window(n_fft, dtype=signal.dtype, device=signal.device)
    for piece in signal.unfold(-1, n_fft, hop).split(frames, dim=-2):
        yield torch.fft.rfft(piece * window)


@functools.lru_cache(maxsize=8)
def mel_bands(sample_rate: int, n_fft: int, n_mels: int) -> Tensor:
    """Build the triangular mel bands (Slaney scale, area norm), (F, M) float32."""
    top_hz = sample_rate / 2
    bands: Tensor = taf.melscale_fbanks(
        n_fft // 2 + 1, 40.0, top_hz, n_mels, sample_rate, norm="slaney", mel_scale="slaney"
    )
    return bands


def bin_power(bins: Tensor) -> Tensor:
    """Give the power of complex bins, without the square root of ``abs`` that would be squared."""
    return bins.real.square() + bins.imag.square()


def reference_power(spectrum: Tensor) -> Tensor:
    """Average the power over microphones: (B, C, T, F) complex to (B, T, F)."""
    return bin_power(spectrum).mean(dim=1)


def mel_power(power: Tensor, bands: Tensor, pool: int) -> Tensor:
    """Gather power into mel bands and average ``pool`` frames.

    Args:
        power: (..., T, F).
        bands: (F, M) of :func:`mel_bands`.
        pool: STFT frames per mel frame; a rest shorter than ``pool`` is padded with silence.

    Returns:
        (..., ceil(T / pool), M).
    """
    mel = power @ bands.to(power)
    short = -mel.shape[-2] % pool
    mel = torch.nn.functional.pad(mel, (0, 0, 0, short))
    pooled: Tensor = mel.unflatten(-2, (-1, pool)).mean(dim=-2)
    return pooled


def log_mel(mel: Tensor) -> Tensor:
    """Compress mel power to a picture that does not depend on the recording level.

    Args:
        mel: power (B, T, M), not negative.

    Returns:
        (B, T, M) in [0, about 1.2]: 0 is 80 dB below the loudest frame and 1 is its average
        band. Silence gives zeros.
    """
    loudest = mel.mean(dim=-1).amax(dim=-1)[:, None, None]
    relative = mel / loudest.clamp_min(torch.finfo(mel.dtype).tiny)
    return torch.log10(relative / FLOOR + 1.0) / 8.0  # ONNX's optimiser drops a sum with 1e-8


def spread_share(bands: Tensor) -> Tensor:
    """Give the weight of every mel band in every bin: (F, M) to (M, F), columns sum to 1 or 0."""
    share = bands.T
    return share / share.sum(dim=0, keepdim=True).clamp_min(1e-12)


def spread_mask(mask: Tensor, bands: Tensor, pool: int, n_frames: int) -> Tensor:
    """Carry a mask from mel cells back to the bins of the STFT.

    Args:
        mask: (..., T', M).
        bands: (F, M) of :func:`mel_bands`.
        pool: STFT frames per mel frame.
        n_frames: STFT frames T wanted; at most ``T' * pool``.

    Returns:
        (..., T, F). A bin takes the mean of the mel bands that cover it, weighted by their
        response; bins that no band covers get zero.
    """
    return (mask @ spread_share(bands.to(mask))).repeat_interleave(pool, dim=-2)[..., :n_frames, :]


def frames_of(cells: Tensor, pool: int, n_frames: int) -> Tensor:
    """List the STFT frames that make up some cells.

    Args:
        cells: which of them, true or false (T',).
        pool: STFT frames per cell.
        n_frames: STFT frames T in all; at most ``T' * pool``.

    Returns:
        Their indices, ascending, int64.
    """
    wanted = cells.repeat_interleave(pool)[:n_frames]
    return wanted.nonzero()[:, 0]
