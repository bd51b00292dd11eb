"""Set moment guided diffusion beside MF–MGDM: moments, entropies, divergences and seconds of a core.

`OMP_NUM_THREADS=1 python tools/moment_guided.py` writes, in about ten minutes of one core:

- results/guided_gaussian.csv: AR(0.1) and AR(0.2, −0.1) with the autocovariances, whose law of largest entropy is
  Gaussian, so that entropies and divergences of the limit of large ensembles are exact;
- results/guided_volatility.csv: the limit of large ensembles for more and more noise, in fine and in coarse steps;
- results/guided_sp500.csv: the S&P 500 with the stylised facts, where no law of largest entropy exists;
- results/guided_scattering.csv: AR(0.1) with the scattering mean.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, kl_divergence

import mfmgdm_lib as mm
from mfmgdm_lib.companion import TABLE_1, MarketExperiment, select, store
from mfmgdm_lib.companion.closed_forms import gaussian_law, mean_field_limit
from mfmgdm_lib.companion.guided_diffusion import exact_target, guided_limit, maximum_entropy_variances

LENGTH, SEED, NOISE_SEED = 1024, (2, 12345), (6, 12345)
WHITE = mm.processes.WhiteNoise()


def gaussian() -> Iterator[dict[str, Any]]:
    """Entropies are gains over white noise, nats per path."""
    energy = mm.energies.Autocovariance()
    for name, process in (("AR(0.1)", mm.processes.AR([0.1])), ("AR(0.2, -0.1)", mm.processes.AR([0.2, -0.1]))):
        target, truth = exact_target(process, LENGTH), gaussian_law(process, LENGTH)
        spread = maximum_entropy_variances(energy, target.mean, LENGTH)
        still = guided_limit(mm.MomentGuidedDiffusion(energy, target), WHITE, n_steps=1, length=LENGTH)
        largest = MultivariateNormal(torch.zeros_like(spread), still.basis * spread @ still.basis.T)
        white = WHITE.entropy(LENGTH)
        known = {"process": name, "largest_entropy": float(largest.entropy()) - white}
        yield known | {"model": "process", "entropy": float(truth.entropy()) - white}
        yield known | {"model": "largest entropy", "kl_process": float(kl_divergence(largest, truth))}
        for n_paths, volatility, n_steps, corrections in (
            (128, 0.0, 50, 1),
            *((128, 1.0, 50, n) for n in (1, 2)),
            *((128, 2.0, 100, n) for n in (1, 2)),
            (128, 4.0, 200, 2),
            (512, 2.0, 100, 2),
        ):
            guided = mm.MomentGuidedDiffusion(energy, target, volatility=volatility, corrections=corrections)
            limit = guided_limit(guided, WHITE, n_steps=n_steps, length=LENGTH)
            x0 = WHITE.sample(n_paths, LENGTH, SEED)
            begin = time.process_time()
            *_, last = guided.steps(x0, n_steps, seed=NOISE_SEED)
            seconds_with_entropy = time.process_time() - begin
            begin = time.process_time()
            guided.sample(x0, n_steps, seed=NOISE_SEED)
            yield known | {
                "model": "MGD",
                "paths": n_paths,
                "volatility": volatility,
                "steps": n_steps,
                "corrections": corrections,
                "mismatch": relative(last, target),
                "entropy_estimate": last.entropy_gain,
                "entropy_estimate_limit": float(limit.entropy_gain[-1]),
                "entropy": float(limit.entropy[-1]) - white,
                "kl_largest": limit.reverse_kl(largest)[-1],
                "kl_process": limit.reverse_kl(truth)[-1],
                "seconds": time.process_time() - begin,
                "seconds_with_entropy": seconds_with_entropy,
            }
        model, n_steps = mm.MFMGDM(energy, target, step_size=10.0), 300
        followed = mean_field_limit(model, WHITE, n_steps=n_steps, length=LENGTH)
        x0 = WHITE.sample(128, LENGTH, SEED)
        for at in (100, 300):
            begin = time.process_time()
            *_, end = model.steps(x0, at)
            seconds = time.process_time() - begin
            trace = mm.reverse_kl_trace(model, process, WHITE, n_steps=at, n_paths=128, length=LENGTH, seed=SEED)
            yield known | {
                "model": "MF-MGDM",
                "paths": 128,
                "steps": at,
                "mismatch": relative(end, target),
                "entropy_estimate": float(trace.entropy[-1] - trace.entropy[0]),
                "entropy": float(followed.law(at).entropy()) - white,
                "kl_largest": followed.reverse_kl(largest)[at],
                "kl_process": followed.reverse_kl(truth)[at],
                "seconds": seconds,
                "seconds_with_entropy": time.process_time() - begin - seconds,
            }


def volatility() -> Iterator[dict[str, Any]]:
    """What is missing from the largest entropy, and from the estimate, as the noise grows."""
    energy = mm.energies.Autocovariance()
    for name, process in (("AR(0.2, -0.1)", mm.processes.AR([0.2, -0.1])), ("AR(0.6)", mm.processes.AR([0.6]))):
        target = exact_target(process, LENGTH)
        spread = maximum_entropy_variances(energy, target.mean, LENGTH)
        largest = 0.5 * float(spread.log().sum())
        for relaxation_steps in (25, 200):
            for sigma in (0.0, 0.5, 1.0, 2.0, 4.0, 8.0):
                n_steps = max(200, round(relaxation_steps * sigma**2))
                guided = mm.MomentGuidedDiffusion(energy, target, volatility=sigma, corrections=2)
                limit = guided_limit(guided, WHITE, n_steps=n_steps, length=LENGTH)
                gained = float(limit.entropy[-1] - limit.entropy[0])
                yield {
                    "process": name,
                    "steps_per_square": relaxation_steps,
                    "volatility": sigma,
                    "steps": n_steps,
                    "largest_entropy": largest,
                    "below_largest": largest - gained,
                    "estimate_below": gained - float(limit.entropy_gain[-1]),
                }


def relative(state: mm.State, target: mm.Target) -> float:
    """Mean mismatch relative to ‖α‖."""
    return math.sqrt(2.0 * float(state.loss[0]))


def sp500() -> Iterator[dict[str, Any]]:
    """How far the moments come, what carries them, and what is known of entropy."""
    experiment = MarketExperiment()
    energy, target, windows = experiment.energy, experiment.target, experiment.series.unfold(0, LENGTH, 1)
    yield {"model": "data"} | tails(experiment.series.reshape(-1, LENGTH), energy)
    x0 = WHITE.sample(128, LENGTH, SEED)
    begin = time.process_time()
    *_, flown = mm.GradientFlow(energy, target, relative_tolerance=0.1).steps(x0, 1e6)
    seconds = {"seconds": time.process_time() - begin}
    yield {"model": "gradient flow", "paths": 128, "steps": flown.step, "mismatch": relative(flown, target)} | (
        seconds | tails(flown.paths, energy)
    )
    begin = time.process_time()
    wanted = mm.Determinants("banded", every=25, on_fold="record")
    model = mm.MFMGDM(energy, target, step_size=10.0)
    run = mm.divergence_run(
        model, WHITE, WHITE, n_steps=1000, n_paths=128, length=LENGTH, seed=SEED, determinants=wanted
    )
    for _ in run.steps():
        pass
    trace = run.summary()
    yield {
        "model": "MF-MGDM",
        "paths": 128,
        "steps": 1000,
        "mismatch": math.sqrt(2.0 * float(trace.loss[-1])),
        "entropy": float(trace.entropy[-1] - trace.entropy[0]),
        "seconds_with_entropy": time.process_time() - begin,
    } | tails(torch.as_tensor(run.paths), energy)
    for n_paths, volatility, n_steps, way in (
        *((128, v, 50, "line") for v in (0.0, 1.0, 2.0)),
        (128, 1.0, 50, "interpolant"),
        (512, 2.0, 50, "line"),
    ):
        x0, moments = WHITE.sample(n_paths, LENGTH, SEED), None
        if way == "interpolant":
            drawn = windows[np.random.default_rng(7).integers(0, len(windows), n_paths)]
            moments = mm.interpolated_moments(energy, x0, drawn, n_steps)
            target = mm.Target(moments[-1], torch.zeros_like(moments[-1]), energy.labels, "windows of one series")
        guided = mm.MomentGuidedDiffusion(energy, target, volatility=volatility)
        begin = time.process_time()
        *_, last = guided.steps(x0, n_steps, seed=NOISE_SEED, moments=moments)
        yield {
            "model": "MGD",
            "moments": way,
            "paths": n_paths,
            "volatility": volatility,
            "steps": n_steps,
            "mismatch": relative(last, target),
            "entropy_estimate": last.entropy_gain,
            "seconds_with_entropy": time.process_time() - begin,
        } | tails(last.paths, energy)
        target = experiment.target


def scattering() -> Iterator[dict[str, Any]]:
    """AR(0.1) with the scattering mean of Table 1: moments reached, entropy by the estimate, and cost of 64 paths."""
    experiment = select(TABLE_1, ["ar01-scatmean-mf"])[0].experiment()
    energy, target = experiment.energy, experiment.target
    x0 = WHITE.sample(64, LENGTH, SEED)
    known = {"energy": "ii. scattering mean", "values": energy.dim, "paths": len(x0)}
    n_steps = 250
    begin = time.process_time()
    for state in experiment.model().steps(x0, n_steps):
        if state.step in (100, n_steps):
            yield known | {
                "model": "MF-MGDM",
                "steps": state.step,
                "mismatch": relative(state, target),
                "seconds": time.process_time() - begin,
            }
    for sigma, entropy in ((0.0, False), (1.0, False), (1.0, True)):
        guided = mm.MomentGuidedDiffusion(energy, target, volatility=sigma)
        begin = time.process_time()
        *_, last = guided.steps(x0, 50, seed=NOISE_SEED, entropy=entropy)
        yield known | {
            "model": "MGD",
            "volatility": sigma,
            "steps": 50,
            "mismatch": relative(last, target),
            "entropy_estimate": last.entropy_gain,
            "seconds_with_entropy" if entropy else "seconds": time.process_time() - begin,
        }


def tails(paths: Tensor, energy: mm.energies.Energy) -> dict[str, float]:
    """The largest value, the kurtosis, and the largest share of the products of squares that one path has."""
    products = energy(paths)[:, 2:].mean(-1)
    return {
        "largest_value": float(paths.abs().max()),
        "kurtosis": float((paths**4).mean() / paths.square().mean() ** 2),
        "largest_share": float(products.max() / products.sum()),
    }


PARTS = {
    "guided_gaussian": (gaussian, "Moment guided diffusion and MF-MGDM, autocovariances, against closed forms."),
    "guided_scattering": (scattering, "Moment guided diffusion and MF-MGDM, AR(0.1) with the scattering mean."),
    "guided_volatility": (volatility, "Moment guided diffusion of infinitely many paths, by its noise."),
    "guided_sp500": (sp500, "Moment guided diffusion and MF-MGDM, S&P 500 with the stylised facts."),
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    for part in sys.argv[1:] or PARTS:
        make, about = PARTS[part]
        rows = []
        for row in make():
            rows.append(row)
            print(row, flush=True)
        table = pd.DataFrame(rows)
        store(part, table.to_csv(index=False, float_format="%.6g"), [about, "Made by: python tools/moment_guided.py"])
