"""The laws that generated paths start from, fitted to a series, and notes on fits at a limit (Section 5.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._checks import check_member
from mfmgdm_lib.processes.base import Process, Seed
from mfmgdm_lib.processes.burn_in import BurnIn
from mfmgdm_lib.processes.copula import GaussianCopula
from mfmgdm_lib.processes.fits import FEWEST_DEGREES, fit_argarch, fit_student, fit_with_variance
from mfmgdm_lib.processes.garch import ARGARCH
from mfmgdm_lib.processes.maximum_entropy import Exponential, maximum_entropy
from mfmgdm_lib.processes.noise import StudentNoise, WhiteNoise
from mfmgdm_lib.support import HALF_LINE

__all__ = ["DEFAULT_STARTS", "STARTS", "fitted_start", "half_line_start", "settled", "starting_law", "starting_paths"]

STARTS = ("noise", "student", "garch", "argarch", "argarch-t", "argjr-skewt")
"""Laws that paths may start from; all but white noise are fitted to the series."""

DEFAULT_STARTS = ("argjr-skewt", "argarch-t", "argarch")
"""Laws to start from where none is named: `results/report_rows.csv` has what they leave out of eleven series."""


def starting_law(series: Any, start: str) -> Process:
    """The law q_0 of the paths that a descent towards a standardised series starts from.

    Args:
        series: one standardised series (length,).
        start: "noise", standard white noise as in the paper; "student", independent t draws; "garch", a GARCH(1, 1)
            with Gaussian innovations (Figure 10); "argarch", the same around an AR(1) mean; "argarch-t", that with t
            innovations, the reference model of Section 5.2; or "argjr-skewt", that with an asymmetry and a skew,
            the most likely one with the variance of the series.

    Raises:
        ValueError: another name, or a series that the law cannot be fitted to.
    """
    if check_member("start", start, STARTS) == "noise":
        return WhiteNoise()
    if start == "student":
        return fit_student(series).process
    if start == "argjr-skewt":
        return fit_with_variance(series)
    innovations = "student" if start == "argarch-t" else "gaussian"
    return fit_argarch(series, innovations, autoregressive=start != "garch").process


@checked
def starting_paths(start: Process, n: int, length: int, seed: Seed) -> Tensor:
    """Draw `n` paths of a starting law, (n, length) float64; those of a GARCH without their first 1000 points.

    Those of a `GaussianCopula` are (n, C, length), without these points too.
    """
    shape = (len(start.laws), length) if isinstance(start, GaussianCopula) else length
    return settled(start).sample(n, shape, seed)


def settled(start: Process) -> Process:
    """The law of `starting_paths`: a GARCH's variance has forgotten where it began (Section 5.2)."""
    return BurnIn(start) if isinstance(start, (ARGARCH, GaussianCopula)) else start


def fitted_start(scaled: Tensor, starts: Sequence[str], columns: Sequence[str] = ()) -> tuple[Process, list[str]]:
    """Return the first of some laws that can be fitted, with notes; for several columns one each, joined by a copula.

    Args:
        scaled: a standardised series (points,), or several, (C, points).
        starts: names of laws, as `starting_law` explains; white noise comes after the last.
        columns: names of several series; none for one.
    """
    if not columns:
        return _first_law(scaled, starts)
    laws, notes = zip(*(_first_law(column, starts) for column in scaled), strict=True)
    named = [f"{name}: {note}" for name, said in zip(columns, notes, strict=True) for note in said]
    return GaussianCopula.fit(laws, scaled), named


def _first_law(scaled: Tensor, starts: Sequence[str]) -> tuple[Process, list[str]]:
    """The first law that can be fitted, or else white noise, and why it is not the first of all."""
    failed = ""
    for start in starts:
        try:
            law = starting_law(scaled, start)
        except ValueError as error:
            failed = failed or str(error)
            continue
        notes = [f"The paths started from {start!r}, as {starts[0]!r} could not be fitted: {failed}"] if failed else []
        return law, notes + _limit_warnings(law, len(scaled))
    return WhiteNoise(), [f"The paths started from white noise, as {starts[0]!r} could not be fitted: {failed}"]


def _limit_warnings(law: Process, points: int) -> list[str]:
    """Fitted parameters at the end of what they can be, where the series says nothing of how far beyond they are."""
    found = []
    if isinstance(law, ARGARCH):
        memory = 1.0 / (1.0 - law.persistence)
        if memory > 0.99 * points:  # which is the limit of some starts, that the optimiser stops a hair below
            found.append(
                f"The fitted GARCH takes {memory:.0f} points to forget a wild stretch (alpha = {law.alpha:.4f}, beta ="
                f" {law.beta:.4f}), and the series has {points}: its variance is as good as infinite."
            )
        if law.persistence - law.beta < _VANISHING:
            found.append("The fitted GARCH has alpha = 0, its limit: the paths started without clusters.")
    # At the other limit of many degrees the law is Gaussian, which speaks against nothing.
    tails = law.degrees_of_freedom if isinstance(law, (ARGARCH, StudentNoise)) else None
    if tails is not None and tails < 1.001 * FEWEST_DEGREES:
        found.append(
            f"The fitted Student t has {tails:.3g} degrees of freedom, at the limit of 2, below which the variance is"
            " infinite."
        )
    return found


_VANISHING = 1e-6
"""α below which a fit has stopped at 0: the tolerance of the optimiser."""


def half_line_start(scaled: Tensor) -> tuple[Process, list[str]]:
    """Return the law of largest entropy on the half-line with the mean and spread of a series, or a note why not."""
    mean, stddev = float(scaled.mean()), float(scaled.std(correction=0))
    if stddev <= mean:
        return maximum_entropy(mean, stddev, HALF_LINE, name="the series"), []
    return Exponential(mean), [
        f"The paths started from exponential values with a spread of {mean:.2f} in place of {stddev:.2f}: no law on the"
        " half-line has the largest entropy where the spread is above the mean."
    ]
