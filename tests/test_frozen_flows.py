"""Measurements of frozen flows: divergence curves, windows of the index, references, and points without an origin."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import mfmgdm_lib as mm
from mfmgdm_lib import data
from mfmgdm_lib.companion import AR_ILLUSTRATION
from mfmgdm_lib.companion.frozen_flows import (
    HeldOut,
    coupled_curve,
    forward_divergence,
    freeze_ensemble,
    frozen_curve,
    log_density,
    smallest_divergence,
)

SMALL = replace(AR_ILLUSTRATION, length=64, n_steps=12, step_size=1.0, target_samples=500)
PROCESS = SMALL.process


def test_coupled_curve_is_the_divergence_with_the_spread_of_ensembles() -> None:
    curve = coupled_curve(SMALL, 4, 12)
    trace = SMALL.run(4, n_paths=12)
    list(trace.steps())
    np.testing.assert_allclose(curve["reverse_kl"], trace.summary().reverse_kl, rtol=1e-12)
    means = (trace.summary().log_q - trace.summary().log_p).reshape(-1, 3, 4).mean(-1)
    np.testing.assert_allclose(curve["standard_error"], means.std(-1, ddof=1) / math.sqrt(3), rtol=1e-12)
    # A single ensemble has no others to compare with.
    assert (coupled_curve(SMALL, 12, 12)["standard_error"] > 0).all()


def test_frozen_curve_is_that_of_the_flow_at_each_step() -> None:
    flow = freeze_ensemble(SMALL, 8, 0)
    curve = frozen_curve(flow, PROCESS, 16, (1, 2))
    starts = flow.start.sample(16, 64, (1, 2))
    for step in (0, 5, 12):
        paths = flow.truncate(step).transform(starts)
        apart = flow.truncate(step).log_prob(paths) - PROCESS.log_prob(paths)
        # A log-density of 64 points is of order 100, and is had again by an inverse that is good to some 1e-13.
        assert curve["reverse_kl"][step] == pytest.approx(float(apart.mean()), abs=1e-9)
        assert curve["standard_error"][step] == pytest.approx(float(apart.std()) / 4.0, abs=1e-9)
    assert smallest_divergence(curve)["least"] == curve["reverse_kl"].min()
    assert not torch.equal(freeze_ensemble(SMALL, 8, 1).mismatches, flow.mismatches)


def test_forward_divergence_is_that_of_given_paths() -> None:
    flow = freeze_ensemble(SMALL, 64, 0)
    table = forward_divergence(flow, PROCESS, 32, (3,), [0, 12])
    paths = PROCESS.sample(32, 64, (3,))
    at_start = (PROCESS.log_prob(paths) - flow.start.log_prob(paths)).mean()
    assert table["forward_kl"][0] == pytest.approx(float(at_start), rel=1e-12)
    assert (table["without_origin"] == 0).all()


def test_paths_without_an_origin_have_no_density_and_do_not_hide_those_of_others() -> None:
    flow = SMALL.model(1).freeze(PROCESS.sample(1, 64, 0), 12, start=SMALL.start)
    near, far = SMALL.start.sample(3, 64, 1), 200.0 * torch.ones(1, 64, dtype=torch.float64)
    steep = replace(SMALL, step_size=50.0).model(1).freeze(near, 1, start=SMALL.start)
    found = log_density(steep, torch.cat([near, far]))
    for path, value in zip(torch.cat([near, far]), found, strict=True):
        try:
            alone = float(steep.log_prob(path[None]))
        except mm.errors.NotInvertibleError:
            alone = -math.inf
        assert float(value) == pytest.approx(alone)
    assert math.isinf(float(found[-1])) and torch.isfinite(log_density(flow, near)).all()


HELD_OUT = HeldOut(length=64, n_paths=32)


def test_windows_are_of_days_that_follow_the_fitted_ones() -> None:
    returns = data.returns(data.sp500()).to_numpy()
    first = returns[:2500]
    scaled = (returns - first.mean()) / first.std()
    windows = HELD_OUT.windows
    assert windows["fitted"].shape == (39, 64) and windows["held out"].shape == (39, 64)
    np.testing.assert_allclose(windows["held out"][1], scaled[2564:2628], rtol=1e-12)
    np.testing.assert_allclose(windows["fitted"][0], scaled[:64], rtol=1e-12)
    exact = mm.target_from_data(mm.energies.StylizedFacts(), scaled[:2500]).mean
    np.testing.assert_allclose(HELD_OUT.target.mean, exact, rtol=1e-12)


def test_white_noise_scores_nothing_and_a_flow_of_no_steps_is_white_noise() -> None:
    flow = HELD_OUT.flow("mf", "noise", 1.0, 3)
    nothing = HELD_OUT.score_flow(flow.truncate(0))
    assert nothing == dict.fromkeys(("fitted", "fitted ±", "held out", "held out ±"), pytest.approx(0.0, abs=1e-12))
    assert HELD_OUT.score_flow(flow) != nothing
    assert HELD_OUT.flow("mgdm", "garch", 0.01, 1).start is HELD_OUT.garch


def test_gain_over_the_start_is_that_of_the_same_windows() -> None:
    flow = HELD_OUT.flow("mf", "garch", 1.0, 2)
    gain = HELD_OUT.score_gain(flow)
    start = HELD_OUT.score_flow(flow.truncate(0))["held out"]
    assert gain["gain"] == pytest.approx(HELD_OUT.score_flow(flow)["held out"] - start, abs=1e-12)
    assert 0 < gain["standard_error"] < HELD_OUT.score_flow(flow)["held out ±"]


def test_reference_given_the_past_adds_up_to_the_whole_series() -> None:
    series = torch.cat(HELD_OUT.series)
    law = mm.fit_argarch(HELD_OUT.series[0], "gaussian").process
    row = HELD_OUT.score_reference("gaussian", given_the_past=True)
    noise = mm.processes.WhiteNoise()
    end = 39 * 64
    whole = law.log_prob(series[None, :end]) - noise.log_prob(series[None, :end])
    assert row["fitted"] == pytest.approx(float(whole) / end, rel=1e-9)
    later = [law.log_prob(series[None, :stop]) - noise.log_prob(series[None, :stop]) for stop in (2500 + end, 2500)]
    assert row["held out"] == pytest.approx(float(later[0] - later[1]) / end, rel=1e-9)
    alone = HELD_OUT.score_reference("gaussian", given_the_past=False)
    window = HELD_OUT.windows["held out"]
    assert alone["held out"] == pytest.approx(float((law.log_prob(window) - noise.log_prob(window)).mean()) / 64)


def test_least_is_the_smallest_with_its_step_and_error() -> None:
    curve = pd.DataFrame({"reverse_kl": [3.0, 1.0, 2.0], "standard_error": [0.3, 0.1, 0.2]})
    assert smallest_divergence(curve) == {"least": 1.0, "step": 1, "standard_error": 0.1}
