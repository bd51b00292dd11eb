"""Stored results compared with their first steps computed again."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pandas as pd

from mfmgdm_lib._arguments import checked
from mfmgdm_lib.companion.field_cells import GaussianFieldCell
from mfmgdm_lib.companion.market_cells import MarketCell, losses
from mfmgdm_lib.companion.table1 import EVERY_STEP_UP_TO, Cell, tabulate
from mfmgdm_lib.runs.store import Result

__all__ = ["deviation", "market_deviation"]

AnyCell = Cell | GaussianFieldCell | MarketCell

_TEN_DIGITS = 1e-9
"""What is lost, relatively, of a number that is kept to ten digits, with round-off on either side."""

_FIVE_DIGITS, _SIX_DIGITS = 5.1e-5, 5.1e-6
"""The same of numbers that are kept to five and to six."""

_FITTED = 1e-3
"""How far, relatively, a loss may be off where paths start from a fit with t innovations.

Where its optimiser ends hangs on round-off, and that on the number of threads: ν differs by 10⁻⁵ of itself. The loss of
the S&P 500's start, an average over products of four heavy-tailed factors, differs 40 times as much; a factor of 2½
is for series that are wilder.
"""


def _precision(cell: AnyCell) -> float:
    """How far, relatively, a rounding in float32 moves a number; 0 in float64, which what is stored does not show."""
    return 2.0**-23 if cell.dtype == "float32" else 0.0


def _rounding(cell: AnyCell, steps: pd.Index) -> np.ndarray:
    """How far paths in float32 may have moved a sum over their points after each step; 0 in float64."""
    return cell.length * _precision(cell) * steps.to_numpy()


def _loss_rounding(cell: AnyCell, loss: pd.Series) -> pd.Series:
    """How far a loss moves if two processors round the transforms behind energies in float32 differently.

    A fast transform of d points rounds in each of its log₂ d stages. With energies apart by a share u of the target,
    L = ½‖Φ − α‖²/‖α‖² moves by u √(2L).
    """
    return np.log2(cell.length) * _precision(cell) * np.sqrt(2 * loss)


@checked
def deviation(cell: Cell | GaussianFieldCell, result: Result, n_steps: int) -> float:
    """Recompute the first steps of a cell of Table 1, or of fields: the largest deviation in units of what is allowed.

    Values of the exact kind may differ by round-off. Paths in float32 may be another rounding apart after each step,
    which changes each of d terms of a log-likelihood by up to 2⁻²³ or so. Determinants that were estimated may
    differ by 4 of their own standard errors, should other arithmetic send another number of probes.

    Args:
        cell: what was run.
        result: what is stored of it.
        n_steps: how many steps to recompute.

    Returns:
        At most 1 where the two agree.
    """
    run = cell.run(n_steps=min(n_steps, cell.n_steps))
    for _ in run.steps():
        pass
    now = tabulate(run.summary())
    steps = result.table.index.intersection(now.index)
    if not now.index[now.index <= EVERY_STEP_UP_TO].isin(steps).all():
        return np.inf
    kept, now = result.table.loc[steps], now.loc[steps]
    rounding = _rounding(cell, steps)
    nats = _TEN_DIGITS * (kept["entropy"].abs() + kept["log_likelihood"].abs()) + rounding
    probes = 4 * np.sqrt(2) * kept["determinant_error"]
    allowed = {
        "log_likelihood": nats,
        "entropy": nats + probes,
        "reverse_kl": nats + probes,
        "loss": (_TEN_DIGITS + rounding) * kept["loss"] + _loss_rounding(cell, kept["loss"]),
    }
    apart = {
        name: ((now[name] - kept[name]).abs() / limit).mask(now[name] == kept[name], 0.0).fillna(np.inf)
        for name, limit in allowed.items()
    }
    return max(float(values.max()) for values in apart.values())


@checked
def market_deviation(cell: MarketCell, result: Result, n_steps: int) -> float:
    """Recompute the target and the first losses of a market cell: the largest deviation in units of what is allowed.

    Both are kept to a few digits. That the target is the same says that the series is.

    Args:
        cell: what was run.
        result: what is stored of it.
        n_steps: how many steps to recompute.

    Returns:
        At most 1 where the two agree.

    Raises:
        ValueError: the series is not at hand.
        OSError: the same.
    """
    experiment = cell.experiment()
    run = cell.begin(experiment)
    alpha = experiment.target.mean.numpy()
    stored = np.array(result.provenance["alpha"])
    if stored.shape != alpha.shape:
        return np.inf
    for _ in islice(run.steps(), n_steps + 1):
        pass
    if run.stopped is not None:
        raise run.stopped
    now, kept = losses(run), result.table.loc[["loss"]].set_index("at")["value"]
    kept = kept.set_axis(kept.index.astype(float))
    steps = kept.index.intersection(now.index)
    rounding = _rounding(cell, steps)
    fitted = _FITTED if cell.start == "argarch-t" else 0.0
    apart = (now[steps] - kept[steps]).abs() / ((_FIVE_DIGITS + rounding + fitted) * kept[steps])
    return float(max(apart.max(), (np.abs(alpha - stored) / (_SIX_DIGITS * np.abs(stored))).max()))
