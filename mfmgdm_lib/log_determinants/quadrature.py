"""Sums over a descent of log-determinants that are known at some of its steps."""

from __future__ import annotations

import numpy as np

__all__ = ["DENSE_STEPS", "integrate", "quadrature_error", "quadrature_nodes"]


def quadrature_nodes(n_steps: int, every: int) -> np.ndarray:
    """Steps whose determinants are calculated: all of the first, then fewer and fewer, at last each `every`-th."""
    nodes = [0]
    while nodes[-1] < n_steps - 1:
        nodes.append(min(nodes[-1] + min(max(1, nodes[-1] // DENSE_STEPS), every), n_steps - 1))
    return np.array(nodes)


DENSE_STEPS = 50
"""Steps for each unit of distance between determinants: a descent is steep at first and slows down."""


def integrate(logs: np.ndarray, errors: np.ndarray, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Add up log-determinants (T, N) that are known at `nodes` and linear between them, from step 0 to each t.

    Args:
        logs: one row for each step.
        errors: their standard errors in the mean, (T,).
        nodes: steps whose rows are to be used, in order.

    Returns:
        The sums, (T + 1, N), and their standard error in the mean, (T + 1,).
    """
    n_steps = len(logs)
    sums, variances = np.zeros((n_steps + 1, logs.shape[1])), np.zeros(n_steps + 1)
    if n_steps == 0:
        return sums, variances
    steps = np.arange(n_steps)
    after = np.clip(np.searchsorted(nodes, steps), 0, len(nodes) - 1)
    before = np.maximum(after - 1, 0)
    gap = np.maximum(nodes[after] - nodes[before], 1)
    share = np.where(steps >= nodes[after], 1.0, (steps - nodes[before]) / gap)[:, None]
    known = logs[nodes]
    np.cumsum((1.0 - share) * known[before] + share * known[after], axis=0, out=sums[1:])
    # A node stands for all steps that are nearer to it than to the others, give or take half of one.
    edges = np.append(nodes[1:], n_steps)
    weights = 0.5 * (edges - nodes + np.diff(nodes, prepend=nodes[0] - 1))
    found = np.zeros(n_steps)
    found[nodes] = (weights * errors[nodes]) ** 2
    variances[1:] = np.cumsum(found)
    return sums, np.sqrt(variances)


def quadrature_error(logs: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Estimate what interpolating between nodes does to the mean over paths of the sums that `integrate` returns.

    It is how far they move when every other node is left out, from where there are steps between nodes. A smooth
    integrand would be a third as wrong as that. But the logarithm of a determinant has a spike wherever an eigenvalue
    passes 0, and of a rough integrand the error grows like the square root of the nodes' distance: then what half of
    the nodes add to it is as large as what there was.

    Args:
        logs: one row for each step, (T, N).
        nodes: steps whose rows are used, in order.

    Returns:
        The error at each t, (T + 1,); 0 where every step is a node.
    """
    apart = np.diff(nodes) > 1
    if len(nodes) < 3 or not apart.any():
        return np.zeros(len(logs) + 1)
    first = int(apart.argmax())
    halved = np.unique(np.concatenate([nodes[:first], nodes[first::2], nodes[-1:]]))
    nothing, mean = np.zeros(len(logs)), logs.mean(-1, keepdims=True)
    fine, coarse = (integrate(mean, nothing, chosen)[0][:, 0] for chosen in (nodes, halved))
    return np.abs(coarse - fine)
