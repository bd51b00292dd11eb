"""Rules that stop a descent: what is recorded of one, and what they make of it, against numbers by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

import mfmgdm_lib as mm
from mfmgdm_lib.companion import stopping_records, stopping_rules
from mfmgdm_lib.companion.closed_forms import LinearEnergy
from mfmgdm_lib.companion.stopping_records import DescentRecord, OtherStatistics, SampleTerms
from mfmgdm_lib.companion.table1 import Cell

ROWS = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]).double()
SMALL = Cell("ar01", "acf", "mf", step_size=10.0, n_steps=5, n_paths=16, length=256, target_samples=100)


def linear_descent() -> tuple[mm.MFMGDM, torch.Tensor]:
    energy = LinearEnergy(ROWS)
    alpha = torch.tensor([1.0, -1.0]).double()
    target = mm.Target(alpha, 0.0 * alpha, energy.labels, "numbers")
    x0 = torch.from_numpy(np.random.default_rng(1).standard_normal((16, 3)))
    return mm.MFMGDM(energy, target, step_size=0.5), x0


def recorded(n_steps: int = 60) -> DescentRecord:
    model, x0 = linear_descent()
    return stopping_records.record_descent(model, x0, n_steps)


def sample(n: int = 2) -> SampleTerms:
    return SampleTerms(np.array([[2.0, 0.3], [0.3, 1.0]]), np.arange(1.0, n + 1.0))


def test_a_record_goes_on_behind_the_stop() -> None:
    model, x0 = linear_descent()
    stop, record = mm.balanced_stop(model, x0, 60), recorded()
    states = list(model.steps(x0, 60))
    assert stop.reached
    assert record.whole
    assert (record.stop, record.reached, record.members) == (stop.step, True, 16)
    assert record.mismatch == pytest.approx(np.array([state.mismatch[0].numpy() for state in states]), abs=1e-12)
    assert record.loss == pytest.approx([float(state.loss.mean()) for state in states])
    # The steps of a linear energy all have the same capacitance matrix.
    assert record.price == pytest.approx(np.full(60, stop.price[0]))
    short = stopping_records.record_descent(model, x0, 60, to_end=False)
    assert len(short.price) == stop.step + 5
    assert not short.whole


def test_the_library_s_rule_is_one_of_them() -> None:
    model, x0 = linear_descent()
    stop, record = mm.balanced_stop(model, x0, 60), recorded()
    gains = stopping_rules.GAINS["as it is"](record, sample())
    assert gains[: len(stop.gain)] == pytest.approx(stop.gain, rel=1e-5)  # covariances are kept in single precision
    found = stopping_rules.stops(record, sample(), np.zeros(61))
    assert found["as it is"] == stop.step
    # No path's distance from the mean ever changes, so neither does the covariance, pooled or not.
    assert {found[name] for name in ("one Σ for both ends of a step", "Σ pooled over the steps")} == {stop.step}


def test_a_gaussian_is_compared_as_a_whole() -> None:
    record, known = recorded(), sample()
    expected = []
    for t in (3, 4):
        law = MultivariateNormal(
            torch.from_numpy(record.mismatch[t]), torch.from_numpy(record.covariance[t].astype(float))
        )
        p = MultivariateNormal(torch.zeros(2).double(), torch.from_numpy(known.covariance))
        expected.append(float(kl_divergence(law, p)))
    gains = stopping_rules.GAINS["whole Gaussian KL with a sample"](record, known)
    assert gains[3] == pytest.approx(expected[0] - expected[1], rel=1e-6)


def test_energies_one_by_one_leave_out_their_correlation() -> None:
    record = recorded()
    spread = record.covariance[2].diagonal()
    before, after = (0.5 * np.sum(record.mismatch[t] ** 2 / record.covariance[t].diagonal()) for t in (2, 3))
    assert abs(record.covariance[2][0, 1]) > 0.3 * math.sqrt(spread.prod())
    assert stopping_rules.GAINS["energies one by one"](record, sample())[2] == pytest.approx(before - after, rel=1e-6)


def test_rules_without_a_price() -> None:
    record, known = recorded(), sample()
    entropy = np.linspace(3.0, 0.0, 61)
    found = stopping_rules.stops(record, known, entropy)
    value = [
        0.5 * r @ np.linalg.solve(c.astype(float), r) for r, c in zip(record.mismatch, record.covariance, strict=True)
    ]
    assert found["V below K / 2N"] == next(t for t, v in enumerate(value) if v < 2 / 32)
    assert found["law fitted to a sample"] == np.argmin(record.mismatch @ [1.0, 2.0] - entropy)


def test_other_statistics_take_their_own_rules() -> None:
    record = recorded()
    mismatch = np.zeros((61, 9))
    mismatch[:, 0] = np.maximum(1.0 - 0.1 * np.arange(61), 0.0)
    others = OtherStatistics(mismatch, np.broadcast_to(np.eye(9), (61, 9, 9)), 4.0 * np.eye(9))
    found = stopping_rules.stops(record, sample(), np.zeros(61), others)
    gain = 0.5 * -np.diff(mismatch[:, 0] ** 2)
    assert found["V of nine other statistics"] == int((record.price > gain).argmax())
    assert found["that with Σ of a sample"] == int((record.price > gain / 4.0).argmax())


def test_other_statistics_by_hand() -> None:
    found = stopping_records._others(torch.tensor([[1.0, 2.0, 0.0, -1.0, 0.0, 3.0]]))
    assert found[0].tolist() == pytest.approx([5 / 6, 15 / 6, 35 / 6, 99 / 6, 2 / 6, -5 / 6, -1 / 6, 6 / 6, 3 / 6])
    watched = stopping_records.other_statistics(SMALL, 4, n_paths=32)
    assert watched.mismatch.shape == (6, 9)
    assert watched.covariance.shape == (6, 9, 9)


def test_a_law_is_fitted_by_its_scores() -> None:
    """The density of an AR(1) is exp(−θᵀΦ) but for the two ends of a path, with θ known."""
    theta = stopping_records.sample_terms(SMALL, n_paths=64, matched=64).weights
    d, phi, points = 256, 0.1, 64 * 256
    by_name = dict(zip(SMALL.experiment().energy.labels, theta / d, strict=True))
    # A variance is known to √(2/n) of itself, an autocorrelation to 1/√n. Left: 4 standard errors, and 2/d for ends.
    assert by_name["lag 1"] == pytest.approx(-phi / (1 - phi**2), abs=4 / math.sqrt(points) + phi * 2 / d)
    expected = 0.5 * (1 + phi**2) / (1 - phi**2)
    assert by_name["lag 0"] == pytest.approx(expected, rel=4 * math.sqrt(2 / points) + 2 / d)


def test_on_the_half_line_scores_have_weights() -> None:
    """The density of independent exponentials of rate 2 is exp(−θᵀΦ) with Φ the mean and θ = 2d; here h is x."""
    rng = np.random.default_rng(3)
    paths = torch.from_numpy(rng.exponential(0.5, (400, 10)))
    (theta,) = stopping_records.fitted_weights(LinearEnergy(torch.full((1, 10), 0.1).double()), paths, rng)
    assert theta == pytest.approx(10 / float(paths.mean()))
    assert theta == pytest.approx(20.0, rel=4 / math.sqrt(4000))


def test_tolerance_and_summary() -> None:
    table = pd.DataFrame(
        {"rule": ["a", "a", "b"], "above": [0.14, 0.4, 0.6], "gained": [1.0, 10.0, 10.0], "process": "x"}
    )
    assert stopping_rules.tolerance(table["gained"]).tolist() == [0.15, 0.5, 0.5]
    assert stopping_rules.within_tolerance(table).tolist() == [True, True, False]
    found = stopping_rules.summary_of_rules(table)
    assert list(found.loc["a"]) == pytest.approx([2, 2, 0.27, 0.4])
    assert list(found.loc["b"]) == pytest.approx([1, 0, 0.6, 0.6])


def test_losses_by_pair() -> None:
    table = pd.DataFrame(
        {"process": ["ar01", "cir-exp", "ar01"], "energy": ["acf", "spectra", "acf"], "members": [128, 128, 8]}
    ).assign(above=[0.1, 3.0, 9.0], gained=[1.0, 1.0, 1.0])
    found = stopping_rules.losses(table, 128)
    assert found.shape == (5, 4)
    assert found.loc["AR(0.1)", "i. autocovariance"] == "0.10"
    assert found.loc["CIR(1/2, 1, 1)", "iv. scattering spectra"] == "3.00 *"
    assert (found == "not run").to_numpy().sum() == 18


def test_what_a_rule_sees() -> None:
    record = recorded()
    seen = stopping_rules.course(record, pd.Series([5.0, 4.0], index=[0, 10]))
    assert seen["paid"].tolist() == pytest.approx([0.0, record.price[:10].sum()])
    start = record.mismatch[0] @ np.linalg.solve(record.covariance[0].astype(float), record.mismatch[0])
    assert seen["wrong_mean"][0] == pytest.approx(0.5 * start)


def test_records_are_read_back(tmp_path: Path) -> None:
    for name, kept in (("record", recorded(20)), ("sample", sample())):
        kept.save(tmp_path / f"{name}.npz")
        again = type(kept).load(tmp_path / f"{name}.npz")
        for field in vars(kept):
            assert np.array_equal(getattr(again, field), getattr(kept, field)), field
