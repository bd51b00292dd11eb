"""The specifications of the synthetic experiments, and summaries of their runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import mfmgdm_lib as mm
from mfmgdm_lib.companion import (
    AR_ILLUSTRATION,
    CIR_EXPONENTIAL,
    CIR_TRUNCATED,
    MarketExperiment,
    SyntheticExperiment,
    results,
)
from mfmgdm_lib.energies import Autocovariance, StylizedFacts
from mfmgdm_lib.processes import AR, CIR, Exponential, TruncatedGaussian, WhiteNoise
from mfmgdm_lib.runs.tables import read_table

SMALL = SyntheticExperiment(
    AR([0.3]), Autocovariance(), step_size=0.3, n_steps=6, n_paths=4, length=32, target_samples=100
)
SMALL_MARKET = MarketExperiment(energy=StylizedFacts(3), step_size=0.5, n_steps=4, n_paths=6, length=64, seed=1)


def test_ar_illustration_is_the_papers() -> None:
    settings = AR_ILLUSTRATION
    assert settings.process.coefficients.tolist() == [0.1] and settings.process.stddev == pytest.approx(1.0, abs=1e-15)
    assert (settings.step_size, settings.n_steps, settings.n_paths, settings.length) == (10.0, 200, 128, 1024)
    assert (settings.target_samples, settings.initial_seed, settings.target_seed) == (10_000, (2, 12345), (3, 12345))
    assert isinstance(settings.energy, Autocovariance)


@pytest.mark.parametrize(
    ("settings", "parameters", "n_steps", "start"),
    [
        (CIR_EXPONENTIAL, (0.5, 1.0, 1.0), 500, Exponential),
        (CIR_TRUNCATED, (2**-0.5, 2**0.5, 1.0), 2000, TruncatedGaussian),
    ],
)
def test_cir_cells_are_the_papers(
    settings: SyntheticExperiment, parameters: tuple[float, ...], n_steps: int, start: type
) -> None:
    process = settings.process
    assert isinstance(process, CIR)
    assert (process.kappa, process.theta, process.sigma, process.dt) == (*parameters, 1.0)
    assert (settings.step_size, settings.n_steps, settings.n_paths, settings.length) == (10.0, n_steps, 128, 1024)
    assert (settings.target_samples, settings.initial_seed, settings.target_seed) == (10_000, (2, 12345), (3, 12345))
    assert isinstance(settings.energy, Autocovariance)
    assert isinstance(settings.start, start)


@pytest.mark.parametrize("process", [AR([0.3]), CIR(0.5, 1.0, 1.0)], ids=repr)
@pytest.mark.parametrize("size", [1, None])
def test_model_keeps_to_the_support_of_the_process(process: mm.processes.Process, size: int | None) -> None:
    model = dataclasses.replace(SMALL, process=process).model(size)
    assert model.support is process.support


def test_market_experiment_is_the_papers() -> None:
    full = MarketExperiment()
    assert (full.series_name, full.energy.dim, full.step_size) == ("sp500", 22, 50.0)
    assert (full.n_steps, full.n_paths, full.length) == (20_000, 1024, 1024)


@pytest.mark.parametrize("experiment", [SMALL, SMALL_MARKET], ids=["synthetic", "market"])
def test_specification_is_frozen(experiment: SyntheticExperiment | MarketExperiment) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        experiment.n_steps = 1  # type: ignore[misc]


def test_start_is_the_maximum_entropy_law_of_the_process() -> None:
    wide = dataclasses.replace(SMALL, process=AR([0.3], innovation_std=2.0))
    assert wide.start.stddev == wide.process.stddev


def test_target_is_estimated_once_from_its_own_seed() -> None:
    expected = mm.estimate_target(SMALL.energy, SMALL.process, n_samples=100, length=32, seed=(3, 12345))
    assert torch.equal(SMALL.target.mean, expected.mean)
    assert SMALL.target is SMALL.target


@pytest.mark.parametrize("size", [1, 2, None])
def test_trace_is_that_of_the_specification(size: int | None) -> None:
    expected = mm.reverse_kl_trace(
        SMALL.model(size), SMALL.process, WhiteNoise(), n_steps=6, n_paths=4, length=32, seed=(2, 12345)
    )
    np.testing.assert_array_equal(SMALL.trace(size).reverse_kl, expected.reverse_kl)


def test_seed_and_steps_can_stand_in_for_the_specifications() -> None:
    own = SMALL.trace(1)
    np.testing.assert_array_equal(SMALL.trace(1, n_steps=2).reverse_kl, own.reverse_kl[:3])
    np.testing.assert_array_equal(SMALL.trace(1, seed=(2, 12345)).reverse_kl, own.reverse_kl)
    assert SMALL.trace(1, seed=0).reverse_kl[0] != own.reverse_kl[0]
    assert len(SMALL.trace(1, n_steps=0).reverse_kl) == 1


def test_clouds_are_the_energies_along_one_descent() -> None:
    clouds = SMALL.clouds(None, steps=(0, 2, 5), n_paths=7)
    states = list(SMALL.model(None).steps(WhiteNoise().sample(7, 32, seed=(2, 12345)), 5))
    assert list(clouds) == [0, 2, 5]
    assert all(torch.equal(cloud, states[step].energies) for step, cloud in clouds.items())


def test_summary_of_replicates_sets_the_claimed_beside_the_found_spread() -> None:
    runs = {"MGDM": [SMALL.trace(1, seed=seed) for seed in range(3)]}
    summary = mm.companion.replicate_summary(runs)
    last = [trace.reverse_kl[-1] for trace in runs["MGDM"]]
    assert list(summary.index) == ["MGDM"]
    assert summary.loc["MGDM", "mean divergence"] == pytest.approx(np.mean(last), abs=1e-14)
    assert summary.loc["MGDM", "spread over seeds"] == pytest.approx(np.std(last, ddof=1), abs=1e-14)
    claimed = np.mean([trace.standard_error[-1] for trace in runs["MGDM"]])
    assert summary.loc["MGDM", "mean standard error"] == pytest.approx(claimed, abs=1e-14)


@pytest.mark.parametrize("size", [2, 4])
def test_final_slope_is_the_growth_of_the_divergence_at_rest(size: int) -> None:
    # Lag 1 of the target is the mean of the start, so the ensembles come to rest without folding.
    experiment = dataclasses.replace(SMALL, step_size=3.0)
    trace = experiment.trace(size, n_steps=600)
    slope = mm.companion.final_slope(experiment.model(size), trace)
    assert trace.loss[-1] < 1e-24
    # Differences of values of order 10² after 600 sums of round-off 10⁻¹⁴.
    assert slope > 0.001
    assert float(trace.reverse_kl[-1] - trace.reverse_kl[-2]) == pytest.approx(slope, abs=1e-10)


def test_market_series_is_standardised_and_its_target_the_energy_of_all_of_it() -> None:
    series = SMALL_MARKET.series
    assert series.shape == (4096,) and series.dtype == torch.float64
    assert float(series.mean()) == pytest.approx(0.0, abs=1e-14)
    torch.testing.assert_close(SMALL_MARKET.target.mean, SMALL_MARKET.energy(series), rtol=0, atol=0)


def test_summary_of_a_trace_says_what_the_trace_does() -> None:
    trace = SMALL.trace(1)
    trace.moved[:] = [1.0, 0.5, 1.0, 0.75, 0.25, 1.0, 1.0]
    table = mm.companion.summarize(trace)
    assert table.index.name == "step" and list(table.index) == list(range(7))
    for name in ("reverse_kl", "standard_error", "entropy", "log_likelihood"):
        np.testing.assert_array_equal(table[name], getattr(trace, name))
    assert table["least_moved"].tolist() == [1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]


def test_a_file_of_results_that_is_not_there_is_named() -> None:
    said = r"nothing\.csv is not there; expected one of balanced_generation, balanced_stop,"
    with pytest.raises(FileNotFoundError, match=said):
        mm.companion.stored("nothing")


@pytest.mark.parametrize(("key", "experiment"), [("cir-exp", CIR_EXPONENTIAL), ("cir-trunc", CIR_TRUNCATED)])
@pytest.mark.parametrize(("model", "size"), [("MGDM", 1), ("MF–MGDM", None)])
def test_stored_runs_are_those_of_the_specifications(
    key: str, experiment: SyntheticExperiment, model: str, size: int | None
) -> None:
    table = mm.companion.stored("cir_autocovariance")
    run = (
        table[(table["process"] == key) & (table["model"] == model)]
        .set_index("step")
        .drop(columns=["process", "model"])
    )
    assert run.index[-1] == experiment.n_steps
    now = mm.companion.summarize(experiment.trace(size, n_steps=3))
    # The file has six decimals, and sums of 1024 terms of order 1 are good to 1e-12.
    np.testing.assert_allclose(run.loc[:3], now, rtol=0, atol=0.6e-6)


def test_no_finding_differs_from_what_the_paper_prints() -> None:
    found = mm.companion.our_numbers()
    printed = mm.companion.paper.numbers().set_index("key")["value"]
    verdicts = {key: mm.companion.paper.verdict(printed[key], ours) for key, ours in found.items()}
    assert {"table1-ar01-acf-mgdm", "table1-ar01-acf-mf", "figure-1-best", "figure-3-best"} <= set(found)
    assert {f"table1-cir-{start}-acf-{model}" for start in ("exp", "trunc") for model in ("mgdm", "mf")} <= set(found)
    assert verdicts["table1-cir-exp-acf-mf"] == "same digits"
    assert "differs" not in verdicts.values()


def test_a_stored_table_comes_back_and_says_where_it_is_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "new_results_folder", lambda: tmp_path)
    table = pd.DataFrame({"size": [1, 2], "seconds": [0.5, 0.25]})
    mm.companion.store("times", table.to_csv(index=False), ["Made by: a test"])
    pd.testing.assert_frame_equal(mm.companion.stored("times"), table)
    path, (_, about) = tmp_path / "times.csv", read_table(tmp_path / "times.csv")
    assert about["provenance"]["origin"] == ["Made by: a test"] and "date" in about["provenance"]
    assert [file.name for file in tmp_path.iterdir()] == ["times.csv"]
    path.write_text(path.read_text().replace("0.25", "0.35"))
    with pytest.raises(ValueError, match="does not match its checksum"):
        mm.companion.stored("times")


def test_new_results_come_before_those_of_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "site-packages" / "mfmgdm_lib" / "results"
    (installed / "table1").mkdir(parents=True)
    (installed / "times.csv").write_text("seconds\n1.5\n")
    monkeypatch.setattr(results, "_CHECKOUT", None)
    monkeypatch.setattr(results, "_RESULTS", installed)
    monkeypatch.chdir(tmp_path)
    assert mm.companion.stored("times")["seconds"].tolist() == [1.5]
    mm.companion.store("times", "seconds\n2.5\n", ["Made by: a test"])
    assert mm.companion.stored("times")["seconds"].tolist() == [2.5]
    assert (tmp_path / "results" / "times.csv").is_file()
    assert (installed / "times.csv").read_text() == "seconds\n1.5\n"
    store = mm.companion.result_store("table1")
    assert (store.folder, store.fallback) == (Path("results", "table1"), installed / "table1")
