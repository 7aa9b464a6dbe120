"""Weights in a quarter of their space: every row of a matrix in whole steps of its own.

    NAME         int8, the matrix in steps
    NAME.step    float32 (rows,), how large the step of each row is

A row reaches from -127 to 127 steps, so that a weight is off by at most half a step, 0.4 % of the
largest of its row. What was rounded once is rounded to the same numbers again.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from tselcli.errors import CheckpointError

STEP = ".step"
STEPS = 127
SMALLEST = 4096  # weights of a matrix that is worth rounding


def rounded(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Round the large matrices among tensors; kernels of a convolution are rows of one.

    A matrix with a weight that is not finite stays as it is.
    """
    found: dict[str, Tensor] = {}
    for name, value in tensors.items():
        rows = value.detach().cpu().float().flatten(1) if value.dim() > 1 else value
        if value.dim() < 2 or value.numel() < SMALLEST or not torch.isfinite(rows).all():
            found[name] = value
            continue
        step = rows.abs().amax(dim=1) / STEPS
        whole = rows / step.clamp_min(torch.finfo(step.dtype).tiny)[:, None]
        found[name] = whole.round().to(torch.int8).reshape(value.shape).contiguous()
        found[name + STEP] = step
    return found


def restored(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the matrices that ``rounded`` made, in single precision, and the rest as it is.

    Raises:
        CheckpointError: steps and matrices of whole numbers that do not belong together.
    """
    found = {name: value for name, value in tensors.items() if not name.endswith(STEP)}
    for name, value in found.items():
        if value.dtype == torch.int8 and name + STEP not in tensors:
            raise CheckpointError(f"{name}: a matrix in steps, but {name}{STEP} is not there")
    for name in tensors.keys() - found.keys():
        matrix, step = found.get(name.removesuffix(STEP)), tensors[name]
        if matrix is None or matrix.dtype != torch.int8 or step.shape != matrix.shape[:1]:
            raise CheckpointError(f"{name}: not the steps of a matrix of as many rows")
        wide = step.float().reshape(-1, *(1 for _ in matrix.shape[1:]))
        found[name.removesuffix(STEP)] = matrix.float() * wide
    return found
