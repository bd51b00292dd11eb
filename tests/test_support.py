"""The sets that values of paths lie in: constraints of torch, intervals, and one that a user wrote."""

from __future__ import annotations

import itertools
import json
import math
import pickle

import pytest
import torch
from torch import Tensor
from torch.distributions import constraints

import mfmgdm_lib as mm
from mfmgdm_lib.energies import Autocovariance
from mfmgdm_lib.processes import Process
from mfmgdm_lib.processes.base import Seed, generator
from mfmgdm_lib.support import HALF_LINE, REAL_LINE, Interval, as_support


class Between(mm.Support):
    """An interval [−1, 2] as a user may write it."""

    def contains(self, paths: Tensor) -> Tensor:
        return (paths >= -1.0) & (paths <= 2.0)

    def nearest(self, paths: Tensor) -> Tensor:
        return paths.clamp(-1.0, 2.0)


BETWEEN = Between()


class Uniform(Process):
    """Independent draws from [−1, 2], on a support of the user's own."""

    mean, stddev = 0.5, 3.0 / 12.0**0.5
    support = BETWEEN

    def __repr__(self) -> str:
        return "Uniform()"

    def sample(self, n: int, length: int, seed: Seed) -> Tensor:
        return torch.from_numpy(generator(seed).uniform(-1.0, 2.0, (n, length)))

    def log_prob(self, x: Tensor) -> Tensor:
        inside = BETWEEN.contains(x).all(-1)
        return torch.zeros_like(x[..., 0]).masked_fill(~inside, -math.inf) - x.shape[-1] * math.log(3.0)


def uniform_model(members: int | None = None, step_size: float = 1.0) -> mm.Descent:
    energy = Autocovariance()
    mean = torch.tensor([1.0, 2.0], dtype=torch.float64)  # more than the start has, so that entries are driven out
    target = mm.Target(mean, torch.zeros_like(mean), energy.labels, "a test")
    return mm.Descent(energy, target, step_size, ensemble_size=members, support=BETWEEN)


@pytest.mark.parametrize(
    ("constraint", "support"),
    [
        (constraints.real, REAL_LINE),
        (constraints.nonnegative, HALF_LINE),
        (constraints.greater_than_eq(-2.0), Interval(-2.0)),
        (constraints.interval(0.0, 3.0), Interval(0.0, 3.0)),
        (BETWEEN, BETWEEN),
    ],
)
def test_constraint_of_torch_stands_for_a_support(constraint: constraints.Constraint, support: mm.Support) -> None:
    assert as_support(constraint) == support
    model = mm.MFMGDM(Autocovariance(), uniform_model().target, 1.0, support=constraint)
    assert model.support == support
    assert pickle.loads(pickle.dumps(HALF_LINE)) == HALF_LINE  # as a model that is sent to another process has it


@pytest.mark.parametrize("support", [REAL_LINE, HALF_LINE, Interval(-1.0, 2.0), Interval(high=1.0)])
def test_model_comes_back_from_its_description_with_its_support(support: mm.Support) -> None:
    model = mm.MFMGDM(Autocovariance(), uniform_model().target, 1.0, support=pickle.loads(pickle.dumps(support)))
    description = mm.spec(model)
    assert mm.from_spec(json.loads(json.dumps(description))).support == support
    assert description["support"]["type"] == {REAL_LINE: "real line", HALF_LINE: "half-line"}.get(support, "Interval")


def test_interval_contains_its_ends_and_nothing_beyond() -> None:
    x = torch.tensor([-0.1, 0.0, 0.5, 1.0, 1.1, math.nan], dtype=torch.float64)
    assert Interval(0.0, 1.0).contains(x).tolist() == [False, True, True, True, False, False]
    assert Interval(0.0, 1.0).nearest(x[:-1]).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]
    assert [s.whole_line for s in (REAL_LINE, HALF_LINE, Interval(high=1.0), BETWEEN)] == [True, False, False, False]
    words = [s.description for s in (REAL_LINE, HALF_LINE, Interval(high=1.0), Interval(0.0, 1.0), BETWEEN)]
    ends = ["values of at least 0", "values of at most 1", "values from 0 to 1"]
    assert words == ["real numbers", *ends, "values in Between()"]
    with pytest.raises(ValueError, match=r"low is 1\.0 and high 0\.0; expected low below high"):
        Interval(1.0, 0.0)


def test_entries_that_a_step_would_take_out_of_an_interval_keep_their_value() -> None:
    model, x0 = uniform_model(step_size=60.0), Uniform().sample(6, 16, seed=1)
    state = model.evaluate(x0)
    move = model.move(state)
    proposal = x0 - model.energy.gradient(x0, model.rate * state.mismatch)
    outside = (proposal < -1.0) | (proposal > 2.0)
    assert (proposal < -1.0).any() and (proposal > 2.0).any() and not outside.all()
    assert torch.equal(move.moved, ~outside)
    assert torch.equal(move.paths, torch.where(outside, x0, proposal))
    assert BETWEEN.contains(uniform_model(step_size=2.0).sample(x0, 40)).all()


@pytest.mark.parametrize("members", [1, None], ids=["MGDM", "MF-MGDM"])
def test_interval_of_a_user_goes_through_divergence_and_flow(members: int | None) -> None:
    model, law = uniform_model(members), Uniform()
    trace = mm.reverse_kl_trace(model, law, law, n_steps=8, n_paths=32, length=12, seed=1)
    assert (trace.moved < 1.0).any() and trace.reverse_kl[0] == 0.0
    assert trace.log_likelihood == pytest.approx(9 * [-12 * math.log(3.0)], abs=1e-12)
    dense = mm.reverse_kl_trace(model, law, law, n_steps=8, n_paths=32, length=12, seed=1, determinants="dense")
    torch.testing.assert_close(torch.tensor(trace.log_q), torch.tensor(dense.log_q), rtol=0, atol=1e-10)

    flow = mm.MFMGDM(model.energy, model.target, 1.0, ensemble_size=members, support=BETWEEN).freeze(
        law.sample(64, 12, seed=2), 8, start=law
    )
    paths, log_prob = flow.sample_and_log_prob(200, seed=3)
    assert flow.support.check(paths).all()
    states = list(flow.steps(law.sample(200, 12, seed=3)))
    moved = torch.stack([after.paths != before.paths for before, after in itertools.pairwise(states)])
    kept = moved.all(-1).all(0)
    assert kept.any() and not kept.all()
    # Every origin was found by iterations that end within 4 units of round-off, in each of 8 steps.
    torch.testing.assert_close(flow.log_prob(paths[kept]), log_prob[kept], rtol=0, atol=1e-9)
    assert flow.log_prob(paths[:1] + 5.0).tolist() == [-math.inf]
    with pytest.raises(ValueError, match=r"x has the value .*expected values in Between\(\), the support of the flow"):
        flow.inverse(paths + 5.0)
