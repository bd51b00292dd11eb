"""Fixtures and helpers that several test files share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # where damage.py is, which is a command too

# The library sets this too, but torch reads it once, when it is first imported, and that is below.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import matplotlib
import numpy as np
import pytest
import torch
from torch import Tensor

import mfmgdm_lib as mm

matplotlib.use("Agg")


@pytest.fixture
def noise() -> Callable[..., Tensor]:
    """Standard normal float64 tensors of a shape, the same for the same seed."""

    def draw(*shape: int, seed: int = 0) -> Tensor:
        return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))

    return draw


@pytest.fixture
def make_target() -> Callable[..., mm.Target]:
    """A target for an energy with the values given, or with distinct ones of order 1."""

    def build(energy: mm.energies.Energy, values: list[float] | None = None) -> mm.Target:
        mean = torch.as_tensor(np.linspace(0.2, 1.0, energy.dim) if values is None else values, dtype=torch.float64)
        return mm.Target(mean, torch.zeros_like(mean), energy.labels, source="a test")

    return build


@pytest.fixture
def sd_tolerance() -> Callable[[int], float]:
    """How far an sd estimated from n nearly normal draws may stray from the truth, relatively: 4 standard errors.

    The standard error of such an sd is sd / √(2(n − 1)).
    """
    return lambda n: 4.0 / (2.0 * (n - 1)) ** 0.5
