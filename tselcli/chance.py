"""What scoring without listening would have given on the same scenes.

Angles and ``others`` are those of `tselcli.metrics`.
"""

import numpy as np
import numpy.typing as npt

from tselcli.metrics import (
    TIE_DEG,
    TOLERANCES_DEG,
    Angles,
    Figures,
    acc_at,
    angular_error,
    checked,
    mae,
    mean_or_none,
    plain,
    selection_accuracy,
    selections,
)


def chance_levels(
    targets: npt.ArrayLike, others: npt.ArrayLike, folded: bool = False
) -> dict[str, Figures]:
    """Compute what three ways of not listening would score on exactly these scenes.

    Args:
        targets: azimuths of the described sources, (N,).
        others: azimuths of the other directional sources, (N, K), padded with NaN.
        folded: all azimuths, also those of random answers, lie in [-90, 90].

    Returns:
        The figures of ``score`` without intervals for ``random_azimuth`` (uniform on the circle),
        ``random_source`` (one of the scene's sources) and ``best_constant`` (the whole degree
        with the smallest mean error, in ``azimuth_deg``). Those of the first two are exact
        expectations, medians those of the distribution of errors.
    """
    _, targets, others = checked(targets, targets, others)
    return {
        "random_azimuth": (_half_chance if folded else _uniform_chance)(targets, others),
        "random_source": _source_chance(targets, others),
        "best_constant": _constant_chance(targets, others),
    }


def _uniform_chance(targets: Angles, others: Angles) -> Figures:
    """Expect an error uniform on [0, 180], and the share of the circle nearest to the target."""
    rivalled = ~np.isnan(others).all(axis=1)
    figures: Figures = {"scenes": len(targets), "mae_deg": 90.0, "median_deg": 90.0}
    figures |= {f"acc_{tolerance}": tolerance / 180.0 for tolerance in TOLERANCES_DEG}
    figures["selection"] = mean_or_none(_own_share(targets, others)[rivalled])
    return plain(figures)


def _half_chance(targets: Angles, others: Angles) -> Figures:
    """Average over answers in [-90, 90], in steps of half a degree."""
    answers = np.arange(-89.75, 90.0, 0.5)
    errors = angular_error(answers, targets[:, None])
    rivalled = ~np.isnan(others).all(axis=1)
    chosen = [selections(np.full_like(targets, way), targets, others) for way in answers]
    figures: Figures = {"scenes": len(targets), "mae_deg": errors.mean()}
    figures["median_deg"] = np.median(errors)
    figures |= {f"acc_{tolerance}": (errors <= tolerance).mean() for tolerance in TOLERANCES_DEG}
    figures["selection"] = mean_or_none(np.mean(chosen, axis=0)[rivalled])
    return plain(figures)


def _own_share(targets: Angles, others: Angles) -> Angles:
    """Return the share of the circle that is nearer to the target than to other sources, (N,).

    The target's arc ends half way to its neighbours; a source in the target's place halves it::

        other ----|---- target --|-- other
              half way        half way
    """
    leftwards = (others - targets[:, None]) % 360.0
    together = (angular_error(others, targets[:, None]) <= TIE_DEG).any(axis=1)
    apart = angular_error(others, targets[:, None]) > TIE_DEG  # False for NaN
    left = np.where(apart, leftwards, 360.0).min(axis=1, initial=360.0)
    right = np.where(apart, 360.0 - leftwards, 360.0).min(axis=1, initial=360.0)
    share = np.minimum((left + right) / 720.0, 1.0)
    return np.where(together, share / 2, share)


def _source_chance(targets: Angles, others: Angles) -> Figures:
    """Average over the sources of each scene, the target among them."""
    sources = np.concatenate([targets[:, None], others], axis=1)
    weights = ~np.isnan(sources) / (~np.isnan(sources)).sum(axis=1, keepdims=True) / len(targets)
    errors = angular_error(sources, targets[:, None])  # NaN, sorted last, where there is no source
    figures: Figures = {"scenes": len(targets)}
    figures["mae_deg"] = (np.where(weights > 0, errors, 0.0) * weights).sum()
    order = np.argsort(errors, axis=None)
    middle = np.searchsorted(weights.ravel()[order].cumsum(), 0.5 - 1e-9)
    figures["median_deg"] = errors.ravel()[order][middle]
    for tolerance in TOLERANCES_DEG:
        figures[f"acc_{tolerance}"] = weights[errors <= tolerance].sum()
    chosen = np.stack([selections(pick, targets, others) for pick in sources.T], axis=1)
    rivalled = ~np.isnan(others).all(axis=1)
    figures["selection"] = mean_or_none(
        np.nansum(chosen * weights, axis=1)[rivalled] * len(targets)
    )
    return plain(figures)


def _constant_chance(targets: Angles, others: Angles) -> Figures:
    """Scan the circle in whole degrees for the one answer with the smallest mean error."""
    candidates = np.arange(-180.0, 180.0)
    costs = [mae(candidate, targets) for candidate in candidates]
    answer = np.full_like(targets, candidates[np.argmin(costs)])
    errors = angular_error(answer, targets)
    figures: Figures = {"scenes": len(targets), "azimuth_deg": answer[0], "mae_deg": errors.mean()}
    figures["median_deg"] = np.median(errors)
    for tolerance in TOLERANCES_DEG:
        figures[f"acc_{tolerance}"] = acc_at(answer, targets, tolerance)
    figures["selection"] = selection_accuracy(answer, targets, others)
    return plain(figures)
