"""Checks that pages show: each fails where the algebra that it looks at has another sign, and names the equation."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sympy
import torch
from torch import Tensor
from torch.distributions import constraints

import mfmgdm_lib as mm
from mfmgdm_lib.companion import cir_autocovariance, derivations
from mfmgdm_lib.companion.closed_forms import EnsembleLaw
from mfmgdm_lib.companion.derivations import densities, determinants, diffusion, equations, positivity
from mfmgdm_lib.companion.derivations.densities import KernelEstimate
from mfmgdm_lib.companion.paper import Checks
from mfmgdm_lib.descents import State
from mfmgdm_lib.log_determinants.determinant_lemma import StepDeterminant
from mfmgdm_lib.processes import AR, CIR, Exponential

Patch = pytest.MonkeyPatch
ILLUSTRATION = replace(mm.companion.AR_ILLUSTRATION, target_samples=100)
KERNELS = KernelEstimate(np.zeros(0), bias=0.0, allowed=1.0, noise=1.0)
LINES = pd.DataFrame({name: np.zeros(10) for name in ("brute force", "line 1", "line 2", "line 3", "mended")})
HOLDS = {"line 1": True, "line 2": True, "line 3": True, "mended": True, "as printed": False}


def step_uphill(patch: Patch) -> None:
    """From short paths, so that a descent of long ones goes on."""
    right = mm.Descent.update

    def update(model: mm.Descent, state: State) -> Tensor:
        after = right(model, state)
        return 2 * state.paths - after if state.paths.shape[-1] < 100 else after

    patch.setattr(mm.Descent, "update", update)


def add_log_determinants(patch: Patch) -> None:
    """Of the steps to the density, in place of taking them off."""

    def trace(*args: Any, **options: Any) -> mm.DivergenceTrace:
        made = mm.reverse_kl_trace(*args, **options)
        return replace(made, log_q=2 * made.log_q[0] - made.log_q)

    patch.setattr(mm.companion.synthetic, "reverse_kl_trace", trace)
    patch.setattr(densities, "reverse_kl_trace", trace)


def negate(module: object, name: str) -> Callable[[Patch], None]:
    """A function or property of numbers with the other sign."""

    def broken(patch: Patch) -> None:
        right = inspect.getattr_static(module, name)
        if isinstance(right, property):
            patch.setattr(module, name, property(lambda self: -right.fget(self)))
        else:
            patch.setattr(module, name, lambda *args, **options: -right(*args, **options))

    return broken


def alternate(patch: Patch) -> None:
    """Autocovariances as those of −φ."""
    right = AR.autocovariance
    patch.setattr(AR, "autocovariance", lambda *args: right(*args) * (-1.0) ** np.arange(args[1] + 1))


def add_hessians(patch: Patch) -> None:
    """In place of taking them off the identity."""
    right = derivations.SymbolicStep.block
    patch.setattr(derivations.SymbolicStep, "block", lambda step, n: 2 * sympy.eye(step.length) - right(step, n))


def random_steps() -> list[Any]:
    return [derivations.random_step(seed) for seed in range(10)]


def add(check: Callable[..., None], *arguments: Callable[[], object]) -> Callable[[], Checks]:
    def made() -> Checks:
        checks = Checks()
        check(checks, *(argument() for argument in arguments))
        return checks

    return made


MASKED = add(determinants.check_masked)
LIBRARY = add(determinants.check_matrices, random_steps, lambda: LINES)


@pytest.mark.parametrize(
    ("check", "breaks", "complaint"),
    [
        (lambda: equations.descent_checks(ILLUSTRATION), step_uphill, "eq-2: a step by the library against one"),
        (lambda: equations.likelihood_checks(ILLUSTRATION), negate(AR, "log_prob"), "eq-ar-likelihood: φ = 0.1"),
        (equations.autoregression_checks, alternate, "eq-4: AR.0.1.: autocovariances against the Yule–Walker"),
        (lambda: equations.inner_problem_checks(ILLUSTRATION), step_uphill, "eq-inner-2: three iterations"),
        (lambda: densities.flow_checks(KERNELS), add_log_determinants, "eq-flow: log-density .d = 16"),
        (
            lambda: densities.flow_checks(KERNELS._replace(bias=-1.1)),
            lambda _: None,
            "eq-flow: divergence in the plane",
        ),
        (densities.gaussian_checks, add_log_determinants, "eq-flow: MGDM: joint log-density of each"),
        (lambda: densities.joint_and_path(4, 3), negate(EnsembleLaw, "total_correlation"), "is not the total correl"),
        (diffusion.transition_checks, negate(CIR, "log_prob"), "eq-cir: log-likelihood of a path"),
        (diffusion.transition_checks, negate(diffusion, "moments_by_quadrature"), "eq-cir: mean and variance of a tr"),
        (positivity.projection_checks, step_uphill, "eq-b-masked: a step by the library"),
        (
            positivity.projection_checks,
            negate(StepDeterminant, "per_path"),
            "eq-b-masked: the same against the library's banded",
        ),
        (add(determinants.check_stacking, derivations.SymbolicStep), add_hessians, "eq-a-diagonal: the blocks A_n"),
        (
            add(determinants.check_lines, lambda: LINES.assign(**{"line 3": 1e-9}), lambda: HOLDS),
            lambda _: None,
            "ma-3",
        ),
        (LIBRARY, step_uphill, "eq-a-update: the step that the library takes"),
        (LIBRARY, negate(determinants, "assemble"), "eq-a-full: every entry of the whole step"),
        (MASKED, negate(StepDeterminant, "per_path"), r"eq-b-masked: log\|det\| by the library"),
    ],
)
def test_check_fails_by_the_name_of_the_equation_that_is_broken(
    check: Callable[[], object], breaks: Callable[[Patch], None], complaint: str, monkeypatch: Patch
) -> None:
    breaks(monkeypatch)
    with pytest.raises(AssertionError, match=complaint):
        check()


def test_a_last_line_that_would_hold_as_printed_is_noticed() -> None:
    with pytest.raises(AssertionError, match=r"eq-a-lemma-4: .* the printed form was expected to fail"):
        determinants.check_lines(Checks(), LINES.assign(**{"as printed": 0.0}), HOLDS)


def test_steps_fold_the_plane_from_the_radius_on_that_is_found() -> None:
    target = mm.Target(
        torch.tensor([0.25, 1.0]).double(), torch.zeros(2).double(), mm.energies.Autocovariance().labels, "by hand"
    )
    model = mm.MGDM(mm.energies.Autocovariance(), target, step_size=0.02)
    angle = torch.linspace(0.0, math.pi, 61, dtype=torch.float64)
    radius = densities.fold_radius(model)

    def least(radius: float) -> float:
        points = radius * torch.stack((angle.cos(), angle.sin()), dim=-1)
        return min(float(torch.linalg.eigvalsh(derivations.full_jacobian(model, x[None])).min()) for x in points)

    assert 1.0 < radius < 8.0
    assert least(radius) < 0 < least(radius - 0.01)


def test_one_over_n_is_told_from_other_powers() -> None:
    sizes = 2.0 ** np.arange(3, 10)
    errors = 0.01 / sizes
    assert densities.falls_as_inverse(sizes, 3 / sizes, errors)
    assert not densities.falls_as_inverse(sizes, 3 / sizes**1.5, errors)
    assert not densities.falls_as_inverse(sizes, -3 / sizes, errors)
    assert not densities.falls_as_inverse(sizes, 0.1 / sizes, errors)


def test_excess_is_that_of_the_divergence_over_the_limit() -> None:
    experiment = mm.companion.SyntheticExperiment(
        AR([0.1]), mm.energies.Autocovariance(), 0.625, n_steps=5, length=16, target_samples=100
    )
    excess, errors = densities.excess_over_limit(experiment, [8, 64])
    assert excess[0] > excess[1] > 0 < errors[1]
    assert excess[0] == pytest.approx(8 * excess[1], abs=10 * errors[0] + 80 * errors[1])


def test_claimed_errors_are_those_of_independent_values_and_seen_ones_agree() -> None:
    values, sizes = np.random.default_rng(1).normal(2.0, 3.0, 4096), np.array([16, 64])
    (claimed, doubt), (seen, own_doubt) = densities.claimed_errors(values, sizes), densities.seen_errors(values, sizes)
    assert (abs(claimed - 3 / np.sqrt(sizes)) < 5 * doubt).all()
    assert (abs(seen - 3 / np.sqrt(sizes)) < 5 * own_doubt).all()


def test_parts_of_a_divergence_are_known_for_gaussians() -> None:
    process, start = AR([0.5]), mm.processes.WhiteNoise()
    model = mm.MGDM(mm.energies.Autocovariance(), ILLUSTRATION.target, step_size=1.0)
    trace = mm.reverse_kl_trace(model, process, start, n_steps=0, n_paths=512, length=16, seed=1)
    parts = densities.divergence_parts(trace, process, start)
    entropy, likelihood, divergence = parts["exact"]
    # H = ½ d log 2πe; KL = Σ of ½ (1 − φ²)⁻¹ (1 + φ²) − ½ + ½ log(1 − φ²) over transitions.
    assert entropy == pytest.approx(8 * math.log(2 * math.pi * math.e))
    assert divergence == pytest.approx(15 * (0.5 * 1.25 / 0.75 - 0.5 + 0.5 * math.log(0.75))) == -entropy - likelihood
    assert len(densities.parts_checks(parts)) == 1
    with pytest.raises(AssertionError, match="eq-kl: entropy, log-likelihood and divergence"):
        densities.parts_checks(parts.assign(estimate=-parts["estimate"]))


@pytest.fixture
def lowered() -> tuple[mm.Descent, Any]:
    average = mm.companion.closed_forms.LinearEnergy(torch.full((1, 64), 1 / 64))
    half = torch.tensor([0.5]).double()
    target = mm.Target(half, 0 * half, average.labels, "mean ½")
    model = mm.MFMGDM(average, target, 16.0, support=constraints.nonnegative)
    return model, model.evaluate(Exponential(1.0).sample(200, 64, seed=1))


def test_a_value_on_the_half_line_has_two_origins(lowered: tuple[mm.Descent, Any], monkeypatch: Patch) -> None:
    model, before = lowered
    kept = model.move(before)
    by_formula, truth = positivity.half_line_entropies(model, before, kept)
    assert by_formula == pytest.approx(1.0, abs=0.04) and truth < 0.9
    line, maps, after, densities = positivity.half_line(before, kept)
    jump = int(np.flatnonzero(np.diff(maps["kept"]) < 0)[0])
    c = line[jump + 1]
    np.testing.assert_allclose(maps["ReLU"], np.maximum(line - c, 0.0), atol=0.005)
    assert torch.equal(after["kept"], kept.paths) and (after["ReLU"] == 0).any()
    both = densities["kept"]["both"]
    # The trapezium rule with a jump: an interval of 0.005 times its height.
    assert np.trapezoid(both, line) == pytest.approx(1 - math.exp(-3 - c), abs=0.005)
    with pytest.raises(AssertionError, match="eq-b-masked: the density is the sum of both"):
        positivity.half_line_entropies(model, before, kept._replace(paths=torch.relu(before.paths - c)))
    grown = replace(mm.log_determinant(model, before), blocks=torch.full((200,), 6.4, dtype=torch.float64))
    monkeypatch.setattr(positivity, "log_determinant", lambda *_: grown)
    with pytest.raises(AssertionError, match="eq-b-masked: the formula keeps the entropy"):
        positivity.half_line_entropies(model, before, kept)


def test_pull_is_that_of_the_worst_path() -> None:
    experiment = replace(mm.companion.CIR_EXPONENTIAL, length=32, target_samples=50)
    low, factor = positivity.pull_bounds(experiment, n_steps=3)
    model = experiment.model(1)
    states = list(model.steps(experiment.start.sample(128, 32, experiment.initial_seed), 3))
    mismatch: Tensor = torch.stack([state.energies for state in states]) - model.target.mean
    assert low == mismatch[..., 0].max()
    assert factor == pytest.approx(1 - 2 * model.rate / 32 * float(mismatch[..., 1].max()))


def test_a_stored_table_is_told_from_another() -> None:
    trace = replace(ILLUSTRATION, step_size=0.1, length=16, n_paths=4).trace(1, n_steps=3)
    table = mm.companion.summarize(trace).round(6)
    assert list(cir_autocovariance.shared_steps(trace, table.loc[::2])) == [0, 2]
    with pytest.raises(AssertionError, match=r"the trace deviates from the table by 1\.0"):
        cir_autocovariance.shared_steps(trace, table.assign(entropy=table["entropy"] + 1e-5))
