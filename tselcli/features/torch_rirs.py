"""Responses of a shoebox on a GPU: all sources and microphones in one batch.

The images, gains and pulses of `tselcli.acoustics.images`, in torch: the grids of all pairs of
a source and a microphone are filled together and filtered by one convolution. Sums are taken in
double precision, in which their order does not show: the samples are those of a processor to
1e-5 of the response, on a GPU as on none.
"""

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from tselcli.acoustics.geometry import SPEED_OF_SOUND
from tselcli.acoustics.images import LEAD, Cells, ends_of, finished, mirrored, placed
from tselcli.acoustics.pulses import STEPS, table
from tselcli.acoustics.rirs import Room, Samples, check_inside

CHUNK = 1 << 20  # pulses that are placed at once


def torch_rirs(
    room: Room,
    mics_m: npt.ArrayLike,
    sources_m: npt.ArrayLike,
    sample_rate: int,
    max_order: int | None = None,
    axes: npt.ArrayLike | None = None,
    device: str | None = None,
) -> Samples:
    """Compute the impulse response from every source to every microphone.

    Args:
        room: the shoebox, one corner at the origin.
        mics_m: microphones (C, 3), metres, inside.
        sources_m: sources (S, 3), metres, inside.
        sample_rate: Hz.
        max_order: walls in a row to follow; None is `Room.order`.
        axes: of figures of eight, as of `shoebox_rirs`.
        device: of torch; None is a GPU where there is one.

    Returns:
        (S, C, L) as of `shoebox_rirs`.

    Raises:
        ValueError: as `shoebox_rirs`.
    """
    mics, sources = np.asarray(mics_m, dtype=np.float64), np.asarray(sources_m, dtype=np.float64)
    check_inside(room, mics, sources)
    on = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    cells, loudness = mirrored(room, room.order if max_order is None else max_order)
    last = LEAD + math.ceil(cells.reach_m / SPEED_OF_SOUND * sample_rate)
    places = [placed(room, cells, source) for source in sources]
    away = [  # along x, y and z, each (S, C, rooms)
        torch.from_numpy(np.stack([place[n] for place in places])[:, None] - mics[:, n, None]).to(
            on
        )
        for n in range(3)
    ]
    eights = None if axes is None else torch.from_numpy(np.asarray(axes, dtype=np.float64)).to(on)
    size = (last + LEAD + 2) * (STEPS + 1)
    grid = torch.zeros(len(sources) * len(mics), size, dtype=torch.float64, device=on)
    grid, farthest = _count(grid, away, cells, loudness, eights, sample_rate)
    kernel = torch.from_numpy(table()[None, :, ::-1].copy()).to(on)
    rirs = functional.conv1d(grid.unflatten(-1, (-1, STEPS + 1)).mT, kernel, padding=LEAD)
    ready = rirs.float().cpu().numpy().reshape(len(sources), len(mics), -1)
    return finished(ready, ends_of(cells, farthest.cpu().numpy(), sample_rate), sample_rate)


def _count(
    grid: Tensor,
    away: list[Tensor],
    cells: Cells,
    loudness: npt.NDArray[np.float64],
    eights: Tensor | None,
    sample_rate: int,
) -> tuple[Tensor, Tensor]:
    """Count the pulses of all pairs; gives the grid (S * C, L) and how far the last are (S, C)."""
    x, y, z = away
    flat = (x[..., None, :] ** 2 + y[..., None] ** 2).flatten(-2)  # (S, C, rooms of x and y)
    farthest = torch.zeros(x.shape[:2], dtype=torch.float64, device=x.device)
    columns = [torch.from_numpy(of).to(x.device) for of in (cells.flat, cells.high, loudness)]
    size = max(CHUNK // farthest.numel(), 1)
    for here, high, loud in zip(*(column.split(size) for column in columns), strict=True):
        metres = (flat[..., here] + z[..., high] ** 2).sqrt()  # (S, C, I)
        farthest = torch.maximum(farthest, metres.amax(dim=-1))
        gain = loud / metres
        if eights is not None:
            along, up = here % x.shape[-1], here // x.shape[-1]
            parts = (x[..., along], y[..., up], z[..., high])
            ahead = sum(eights[:, n, None] * part for n, part in enumerate(parts)) / metres
            gain = torch.where(eights.any(dim=1)[:, None], gain * ahead, gain)
        # In pyroomacoustics' single precision, as on a processor.
        samples = (metres / SPEED_OF_SOUND + LEAD / sample_rate).float() * sample_rate
        whole = samples.floor()
        steps = (1 - (samples - whole)) * STEPS
        place = (whole.long() * (STEPS + 1) + steps.floor().long()).flatten(0, 1)
        share = ((steps - steps.floor()) * gain).flatten(0, 1)
        grid.scatter_add_(1, place, gain.flatten(0, 1) - share)
        grid.scatter_add_(1, place + 1, share)
    return grid, farthest
