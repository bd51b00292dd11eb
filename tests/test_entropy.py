"""The change of entropy in a step, and its bounds, against eigenvalues of the joint Jacobian."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import Phase, assume, find, given, reject, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

import mfmgdm_lib as mm
from mfmgdm_lib.companion import AR_ILLUSTRATION
from mfmgdm_lib.companion.derivations import full_jacobian
from mfmgdm_lib.descents import Communicator
from mfmgdm_lib.errors import StuckError
from mfmgdm_lib.log_determinants.backends import choose_backend
from mfmgdm_lib.log_determinants.moments import step_moments

ROUND_OFF = 1e-10

PROPERTY = settings(derandomize=True, deadline=None, database=None, max_examples=30)
"""The same cases each time, whatever time they take, and no files."""


class Quadratic(mm.energies.Energy):
    """Φ_k(x) = ½ xᵀ H_k x / d + bₖᵀx / √d."""

    def __init__(self, matrices: Tensor, rows: Tensor) -> None:
        self.matrices, self.rows = matrices, rows
        self.labels = tuple(f"form {k}" for k in range(len(matrices)))

    def _evaluate(self, x: Tensor) -> Tensor:
        d = x.shape[-1]
        forms = torch.einsum("...i,kij,...j->...k", x, self.matrices, x)
        return 0.5 * forms / d + x @ self.rows.T / math.sqrt(d)


def numbers(*shape: int, least: float = -3.0) -> st.SearchStrategy[Tensor]:
    """Tensors of numbers from `least` to 3, many of which hypothesis makes equal, or 0."""
    values = st.floats(least, 3.0, allow_subnormal=False)
    return arrays(np.float64, shape, elements=values).map(torch.from_numpy)


@st.composite
def cases(draw: st.DrawFn) -> tuple[mm.MFMGDM, Tensor]:
    """A model by quadratic energies whose steps are anything from small to folding, and 4 paths."""
    dim, d = draw(st.integers(1, 4)), draw(st.integers(2, 6))
    matrices = draw(numbers(dim, d, d))
    energy = Quadratic(matrices + matrices.mT, draw(numbers(dim, d)))
    mean = draw(numbers(dim, least=0.5))
    target = mm.Target(mean, torch.zeros_like(mean), energy.labels, "drawn numbers")
    paths, half_line = draw(numbers(4, d)), draw(st.booleans())
    members = 4 if half_line else draw(st.sampled_from([1, 2, 4]))  # of which one can move
    model = mm.MFMGDM(
        energy,
        target,
        step_size=10 ** draw(st.floats(-2.0, 0.5)),
        ensemble_size=members,
        support=mm.Interval(0.0) if half_line else mm.Interval(),
    )
    return model, paths.abs() if half_line else paths


def spectra(model: mm.MFMGDM, paths: Tensor) -> list[np.ndarray]:
    """Eigenvalues of M = I − J of each ensemble's step, of the entries that move."""
    members = model.members(len(paths))
    whole = mm.MFMGDM(model.energy, model.target, model.step_size)  # on the real line, whose Jacobian is all entries'
    moved = model.move(model.evaluate(paths)).moved
    moved = torch.ones_like(paths, dtype=torch.bool) if moved is None else moved
    found = []
    for part, mask in zip(paths.split(members), moved.split(members), strict=True):
        jacobian = full_jacobian(whole, part)[mask.flatten()][:, mask.flatten()]
        found.append(np.linalg.eigvalsh(np.eye(len(jacobian)) - jacobian.numpy()))
    return found


def block_spectra(model: mm.MFMGDM, paths: Tensor) -> Tensor:
    """Eigenvalues of S, (N, d)."""
    weights = model.rate * model.evaluate(paths).mismatch
    return torch.linalg.eigvalsh(torch.einsum("nk,kij->nij", weights, model.energy.matrices) / paths.shape[1])


@PROPERTY
@given(cases())
def test_bounds_hold_and_moments_are_those_of_the_joint_jacobian(case: tuple[mm.MFMGDM, Tensor]) -> None:
    model, paths = case
    members, state = model.members(len(paths)), model.evaluate(paths)
    try:
        moved = model.move(state).moved
    except StuckError:
        reject()
    joint = spectra(model, paths)
    # Where an eigenvalue is very close to 1, logarithms are round-off.
    assume(min(float(abs(1.0 - np.asarray(part)).min()) for part in [*joint, block_spectra(model, paths)]) > 1e-3)
    trace = mm.entropy_bounds(model, paths, 1)
    mask = torch.ones_like(paths) if moved is None else moved.double()
    moments = step_moments(choose_backend(model, length=paths.shape[1]), model, state, mask, None)
    for e, eigenvalues in enumerate(joint):
        scale = 1.0 + np.square(eigenvalues).sum()
        assert float(moments.trace[e]) == pytest.approx(eigenvalues.sum(), abs=ROUND_OFF * scale)
        assert float(moments.square[e]) == pytest.approx(np.square(eigenvalues).sum(), abs=ROUND_OFF * scale)
        assert float(moments.largest[e]) >= eigenvalues[-1] - ROUND_OFF * scale
        change = np.log(np.abs(1.0 - eigenvalues)).sum() / members
        assert trace.change[0, e] == pytest.approx(change, abs=1e-8 * scale)
        if eigenvalues[-1] >= 1.0:
            assert (trace.norms[0, e], trace.lower[0, e], trace.upper[0, e]) == (-math.inf, -math.inf, math.inf)
            assert trace.folded[0, e] == (eigenvalues >= 1.0).sum()
        else:
            assert max(trace.norms[0, e], trace.lower[0, e]) <= change + ROUND_OFF * scale
            assert change <= trace.upper[0, e] + ROUND_OFF * scale


@pytest.mark.parametrize("least_top, most_top", [(0.1, 0.9), (1.0, 1e6)], ids=["bounds", "folds"])
@pytest.mark.parametrize("half_line", [False, True])
def test_cases_have_bounds_and_folds_among_them(least_top: float, most_top: float, half_line: bool) -> None:
    def is_one(case: tuple[mm.MFMGDM, Tensor]) -> bool:
        model, paths = case
        if model.support.whole_line == half_line:
            return False
        try:
            return least_top < max(part[-1] for part in spectra(model, paths)) < most_top
        except StuckError:
            return False

    find(cases(), is_one, settings=settings(PROPERTY, max_examples=500, phases=[Phase.generate]))


@PROPERTY
@given(cases())
def test_only_the_last_term_of_the_trace_has_the_number_of_paths(case: tuple[mm.MFMGDM, Tensor]) -> None:
    """tr M / N = γ Σ_k r̄_k mean tr H_k + (γ/N) mean ‖J‖², and B's upper end is its negative."""
    model, paths = case
    assume(model.support.whole_line)
    trace, members = mm.entropy_bounds(model, paths, 1), model.members(len(paths))
    mismatch = model.evaluate(paths).mismatch[::members]
    traces = model.energy.matrices.diagonal(dim1=1, dim2=2).sum(-1) / paths.shape[1]
    norms = model.energy.jacobian(paths).square().sum((1, 2)).unflatten(0, (-1, members)).mean(1)
    expected = model.rate * (mismatch @ traces + norms / members)
    within = np.isfinite(trace.upper[0])
    assert -trace.upper[0][within] == pytest.approx(expected.numpy()[within], rel=1e-12, abs=1e-12)


@PROPERTY
@given(cases())
def test_at_rest_each_path_pays_the_price_of_k_means_divided_by_n(case: tuple[mm.MFMGDM, Tensor]) -> None:
    model, paths = case
    mean = model.energy(paths).mean(0)
    assume(model.support.whole_line and float(mean.norm()) > 0.1)
    target = mm.Target(mean, torch.zeros_like(mean), model.energy.labels, "where the paths are")
    rest = mm.MFMGDM(model.energy, target, model.step_size)
    eigenvalues = np.linalg.eigvalsh(rest.rate * torch.einsum("nki,nli->kl", *[model.energy.jacobian(paths)] * 2) / 4)
    assume(eigenvalues[-1] < 1.0 - 1e-3)
    trace = mm.entropy_bounds(rest, paths, 1)
    assert trace.change[0, 0] == pytest.approx(np.log1p(-eigenvalues).sum() / 4, abs=1e-10)
    assert trace.at_rest[0, 0] == pytest.approx(trace.change[0, 0], abs=1e-10)
    assert trace.blocks[0, 0] == pytest.approx(0.0, abs=1e-10)


def test_bounds_by_hand() -> None:
    """One path in the plane and Φ = x₁² + x₂²: M = γ(2r I + 4xxᵀ)."""
    energy = Quadratic(4.0 * torch.eye(2, dtype=torch.float64)[None], torch.zeros(1, 2, dtype=torch.float64))
    target = mm.Target(torch.tensor([4.0]).double(), torch.zeros(1).double(), energy.labels, "a number")
    paths = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    trace = mm.entropy_bounds(mm.MGDM(energy, target, step_size=0.16), paths, 1)  # γ = 0.01, r = 1: M's are 0.02, 0.22
    assert trace.change[0, 0] == pytest.approx(math.log(0.98) + math.log(0.78))
    assert trace.upper[0, 0] == pytest.approx(-0.24)
    assert trace.lower[0, 0] == pytest.approx(-0.24 - (0.02**2 + 0.22**2) / (2 * 0.78))
    assert trace.norms[0, 0] == pytest.approx(math.log(0.98) + math.log(0.78))  # S is a multiple of the identity
    assert trace.at_rest[0, 0] == pytest.approx(math.log(0.8))


def test_entropy_of_the_illustration() -> None:
    """200 steps of 16 ensembles of 8 towards AR(0.1): numbers of an independent calculation, to the digits it has."""
    x0 = AR_ILLUSTRATION.start.sample(128, 1024, AR_ILLUSTRATION.initial_seed)
    trace = mm.entropy_bounds(AR_ILLUSTRATION.model(8), x0, 200)
    expected = {"change": -6.364, "blocks": -4.886, "capacitance": -1.478, "upper": -6.312, "lower": -6.3652}
    for name, value in expected.items():
        assert getattr(trace, name).mean(1).sum() == pytest.approx(value, abs=6e-5 if name == "lower" else 6e-4), name


@pytest.mark.parametrize("determinants", ["banded", "dense", "stochastic"])
@pytest.mark.parametrize("energy", [mm.energies.Autocovariance(), mm.energies.StylizedFacts(lags=5)], ids=repr)
def test_bounds_hold_along_a_descent_for_each_backend(energy: mm.energies.Energy, determinants: str) -> None:
    process, d = mm.processes.AR([0.1]), 48
    target = mm.estimate_target(energy, process, n_samples=500, length=d, seed=1)
    x0 = mm.processes.WhiteNoise().sample(16, d, seed=2)
    for members in (1, 16):
        model = mm.MFMGDM(energy, target, step_size=0.5, ensemble_size=members)
        trace = mm.entropy_bounds(model, x0, 7, every=2, determinants=determinants, seed=3)
        slack = 4.0 * (trace.error + trace.bound_error) + ROUND_OFF
        assert trace.change.shape == (4, 16 // members)
        assert (trace.lower - slack <= trace.change).all()
        assert (trace.change <= trace.upper + slack).all()
        assert (trace.norms - slack <= trace.change).all()
        assert (trace.error > 0).all() == (determinants == "stochastic")


def test_exact_backends_agree() -> None:
    energy = mm.energies.Autocovariance()
    target = mm.estimate_target(energy, mm.processes.AR([0.1]), n_samples=500, length=32, seed=1)
    model = mm.MFMGDM(energy, target, step_size=1.0)
    x0 = mm.processes.WhiteNoise().sample(8, 32, seed=2)
    banded, dense = (mm.entropy_bounds(model, x0, 3, determinants=name) for name in ("banded", "dense"))
    for name in ("change", "norms", "lower", "upper", "at_rest", "moved"):
        assert getattr(banded, name) == pytest.approx(getattr(dense, name), abs=ROUND_OFF), name


def test_paths_of_two_channels_have_the_bounds_of_flat_ones() -> None:
    both = mm.energies.EachChannel(mm.energies.Autocovariance(), ("a", "b"))
    target = mm.Target(torch.tensor([0.1, 1.0, 0.3, 1.0]).double(), torch.zeros(4).double(), both.labels, "numbers")
    x0 = torch.from_numpy(np.random.default_rng(4).standard_normal((6, 2, 10)))
    model = mm.MFMGDM(both, target, step_size=0.5)
    trace, state = mm.entropy_bounds(model, x0, 2), model.evaluate(x0)
    expected = float(mm.log_determinant(model, state).per_path.mean())
    assert trace.change[0, 0] == pytest.approx(expected, abs=ROUND_OFF)
    assert (trace.lower <= trace.change).all()
    assert (trace.change <= trace.upper).all()


def test_a_shared_model_is_refused() -> None:
    class Two(Communicator):
        count = 2

    model = AR_ILLUSTRATION.model(None)
    model.communicator = Two()
    with pytest.raises(ValueError, match="shared out over 2 processes"):
        mm.entropy_bounds(model, torch.zeros(2, 8, dtype=torch.float64), 1)
