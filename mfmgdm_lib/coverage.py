"""Likelihood-ratio tests of value at risk: whether losses exceed it as often as they should, and one by one."""

from __future__ import annotations

import numpy as np
import scipy

from mfmgdm_lib._arguments import checked

__all__ = ["conditional_coverage", "independence", "unconditional_coverage"]


@checked
def unconditional_coverage(violations: np.ndarray, share: float) -> tuple[float, float]:
    """Kupiec's likelihood ratio (1995) and its p-value by the chi-squared law of one degree of freedom.

    The null hypothesis is that a day violates the value at risk with the probability 1 − p, independently of others.

    Args:
        violations: whether each day did, (days,) bool.
        share: p.

    Example:
        >>> statistic, p_value = unconditional_coverage(np.arange(250) < 7, 0.99)
        >>> round(statistic, 4), round(p_value, 4)
        (5.497, 0.019)
    """
    hits = np.asarray(violations, dtype=bool)
    if not (n := len(hits)):
        raise ValueError("violations has no days; expected at least one. Use those of some forecasts.")
    found = int(hits.sum())
    return _ratio(_log_likelihood(found, n, found / n) - _log_likelihood(found, n, 1.0 - share), 1)


@checked
def independence(violations: np.ndarray) -> tuple[float, float]:
    """Christoffersen's likelihood ratio of independence (1998), p-value by chi-squared of one degree of freedom.

    The null hypothesis is that a violation is as likely after a violation as after none; the alternative is a Markov
    chain of first order. With few violations the chi-squared law is rough: of independent violations on 1000 days the
    test at the level of 5 % refuses 8 % at a share of 95 %, and 2 % at 99 % (10 000 simulations).

    Args:
        violations: whether each day did, (days,) bool.
    """
    before, after = _transitions(violations)
    free = sum(_log_likelihood(int(after[at].sum()), int(at.sum()), _mean(after[at])) for at in (before, ~before))
    return _ratio(free - _log_likelihood(int(after.sum()), len(after), _mean(after)), 1)


@checked
def conditional_coverage(violations: np.ndarray, share: float) -> tuple[float, float]:
    """Christoffersen's likelihood ratio of both (1998), and its p-value by chi-squared of two degrees of freedom.

    The null hypothesis is that of `unconditional_coverage`, the alternative that of `independence`. The first day is
    given, and so the sum of those two ratios differs from it by what the first day adds.

    Args:
        violations: whether each day did, (days,) bool.
        share: p.
    """
    before, after = _transitions(violations)
    free = sum(_log_likelihood(int(after[at].sum()), int(at.sum()), _mean(after[at])) for at in (before, ~before))
    return _ratio(free - _log_likelihood(int(after.sum()), len(after), 1.0 - share), 2)


def _transitions(violations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Violations of all days but the last, and of the days after them."""
    hits = np.asarray(violations, dtype=bool)
    return hits[:-1], hits[1:]


def _mean(hits: np.ndarray) -> float:
    return float(hits.mean()) if len(hits) else 0.0


def _log_likelihood(found: int, n: int, probability: float) -> float:
    """Of so many violations in n independent days."""
    return float(scipy.special.xlogy(found, probability) + scipy.special.xlog1py(n - found, -probability))


def _ratio(difference: float, degrees: int) -> tuple[float, float]:
    """The likelihood ratio statistic of a difference of log-likelihoods, which round-off may put below 0."""
    statistic = max(2.0 * difference, 0.0)
    return statistic, float(scipy.stats.chi2.sf(statistic, degrees))
