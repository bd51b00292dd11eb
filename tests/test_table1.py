"""Table 1: the paper's settings, resumable runs, and verification of stored numbers."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import mfmgdm_lib as mm
from mfmgdm_lib.companion import TABLE_1, Cell, deviation, paper, select, table_1, tabulate
from mfmgdm_lib.runs import complete
from mfmgdm_lib.runs.cells import seconds_left
from mfmgdm_lib.runs.store import Progress, Result, ResultStore

CELLS = {cell.key: cell for cell in TABLE_1}

EXACT = dataclasses.replace(CELLS["ar01-acf-mgdm"], n_steps=12, n_paths=4, target_samples=50)
"""A fraction of a second, with exact determinants in float64."""

ESTIMATED = dataclasses.replace(CELLS["ar01-scatmean-mf"], n_steps=6, n_paths=4, target_samples=50)
"""A second, with estimated determinants and paths in float32."""

INTERPOLATED = dataclasses.replace(EXACT, n_steps=115, determinant_every=5)
"""Long enough for steps without a determinant: every other one after the hundredth."""

KINDS = pytest.mark.parametrize("cell", [EXACT, ESTIMATED], ids=["exact", "estimated"])


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(tmp_path / "store")


def table_bytes(store: ResultStore, cell: Cell) -> bytes:
    """The table of a result as it is on disk, without the lines above it, which say how long it took."""
    return b"".join(line for line in store.path(cell).read_bytes().splitlines(True) if not line.startswith(b"#"))


def run(cell: Cell, folder: Path) -> Result:
    """The result of a run that nobody disturbs."""
    store = ResultStore(folder)
    assert complete(cell, store) == "computed"
    return store.read(cell)


# --- the cells ---------------------------------------------------------------------------------------------------


def test_there_is_a_cell_for_each_number_of_the_paper_s_table() -> None:
    keys = ["table1-" + cell.key for cell in TABLE_1]
    assert len(keys) == len(set(keys)) == 40
    stated = paper.numbers()["key"]
    assert keys == stated[stated.str.startswith("table1-")].tolist()


@pytest.mark.parametrize(
    ("row", "energy", "step_size", "n_steps"),
    [
        ("ar01", "acf", 10.0, 250),
        ("arm01", "acf", 10.0, 250),
        ("ar02", "scatmean", 5.0, 1000),
        ("ar02", "scatcov", 5.0, 250),
        ("arm01", "spectra", 5.0, 250),
        ("cir-exp", "acf", 10.0, 500),
        ("cir-exp", "scatmean", 5.0, 250),
        ("cir-exp", "spectra", 5.0, 1000),
        ("cir-trunc", "acf", 10.0, 2000),
        ("cir-trunc", "scatcov", 5.0, 1000),
        ("cir-trunc", "spectra", 5.0, 250),
    ],
)
def test_step_size_and_steps_are_the_paper_s_for_both_models(
    row: str, energy: str, step_size: float, n_steps: int
) -> None:
    for model in ("mgdm", "mf"):
        cell = CELLS[f"{row}-{energy}-{model}"]
        assert (cell.step_size, cell.n_steps) == (step_size, n_steps)


def test_sizes_and_seeds_are_the_paper_s() -> None:
    shared = {(c.n_paths, c.length, c.target_samples, c.initial_seed, c.target_seed) for c in TABLE_1}
    assert shared == {(128, 1024, 10_000, (2, 12345), (3, 12345))}
    # What has exact determinants keeps float64.
    assert {cell.dtype for cell in TABLE_1 if cell.energy == "acf"} == {"float64"}
    assert {cell.dtype for cell in TABLE_1 if cell.energy != "acf"} == {"float32"}


def test_run_has_the_cell_s_ensembles_paths_and_backend() -> None:
    for cell, members, backend, dtype in ((EXACT, 1, "banded", torch.float64), (ESTIMATED, 4, "stochastic", None)):
        trace = cell.run(n_steps=0).summary()
        assert (trace.members, trace.determinants) == (members, backend)
        assert trace.paths.shape == (4, 1024) and trace.paths.dtype == (dtype or torch.float32)
        assert {*trace.observed} == {"log_p_approximate"}
    assert {*dataclasses.replace(CELLS["cir-exp-acf-mf"], n_paths=2).run(n_steps=0).summary().observed} == set()


def test_quick_profile_has_the_same_cells_and_less_of_everything() -> None:
    quick = table_1("quick")
    assert table_1() == TABLE_1 and [cell.key for cell in quick] == [cell.key for cell in TABLE_1]
    for small, cell in zip(quick, TABLE_1, strict=True):
        assert small.n_steps == max(25, cell.n_steps // 10) and small.n_steps < cell.n_steps
        assert (small.n_paths, small.target_samples) == (16, 500)
        sizes = {name: getattr(cell, name) for name in ("n_steps", "n_paths", "target_samples")}
        assert dataclasses.replace(small, **sizes) == cell
    with pytest.raises(ValueError, match=r"profile is 'slow'.*'paper', 'quick'"):
        table_1("slow")


@pytest.mark.parametrize(
    ("patterns", "keys"),
    [
        (["ar01-acf-*"], ["ar01-acf-mgdm", "ar01-acf-mf"]),
        (["*-acf-mf"], ["ar01-acf-mf", "ar02-acf-mf", "arm01-acf-mf", "cir-exp-acf-mf", "cir-trunc-acf-mf"]),
        (["cir-exp-spectra-mf", "ar02-acf-m*", "ar02-acf-mf"], ["ar02-acf-mgdm", "ar02-acf-mf", "cir-exp-spectra-mf"]),
        ([], list(CELLS)),
    ],
)
def test_patterns_select_cells_in_the_order_of_the_table(patterns: list[str], keys: list[str]) -> None:
    assert [cell.key for cell in select(TABLE_1, patterns)] == keys


def test_pattern_that_matches_nothing_is_an_error_which_lists_what_there_is() -> None:
    with pytest.raises(
        ValueError, match=r"no cell is called 'ar03-\*'; expected a name such as 'ar01-acf-mgdm'.*"
    ) as e:
        select(TABLE_1, ["ar01-*", "ar03-*"])
    names = ("ar01", "ar02", "arm01", "cir-exp", "cir-trunc", "acf", "scatmean", "scatcov", "spectra", "mgdm", "mf")
    assert [name for name in names if name not in str(e.value)] == []


def test_replicate_differs_in_both_seeds_and_in_nothing_else() -> None:
    cell = CELLS["ar02-scatcov-mf"]
    copies = [cell.replicate(k) for k in (1, 2, 3)]
    assert len({c.initial_seed for c in (cell, *copies)}) == len({c.target_seed for c in (cell, *copies)}) == 4
    for copy in copies:
        assert copy.initial_seed != copy.target_seed and copy.key == cell.key
        same = dataclasses.replace(copy, initial_seed=cell.initial_seed, target_seed=cell.target_seed)
        assert same == cell
    with pytest.raises(ValueError, match="k is 0"):
        cell.replicate(0)


# --- tabulate ----------------------------------------------------------------------------------------------------


def test_table_keeps_the_first_steps_some_others_the_best_and_the_last() -> None:
    n_steps, best = 1003, 333
    t = np.arange(n_steps + 1.0)
    log_q = np.abs(t - best)[:, None] + np.array([[-0.5, 0.5]])
    moved, folded = np.ones(n_steps + 1), np.zeros(n_steps + 1)
    moved[40], folded[48], folded[100] = 0.5, 0.75, 0.25
    observed = {"log_p_approximate": np.full((n_steps + 1, 2), 2.0)}
    trace = mm.DivergenceTrace(
        log_q=log_q,
        log_p=np.zeros_like(log_q),
        loss=t,
        mean_energy=t[:, None],
        determinant_error=3 * t,
        quadrature_error=4 * t,
        moved=moved,
        folded=folded,
        paths=torch.zeros(2, 1),
        members=1,
        determinants="banded",
        observed=observed,
    )
    table = tabulate(trace)
    # 1003 / 125 rounds to 8.
    assert table.index.tolist() == sorted({*range(26), *range(0, n_steps, 8), best, n_steps})
    assert table["reverse_kl"].idxmin() == best and table.loc[best, "reverse_kl"] == 0.0
    np.testing.assert_array_equal(table["loss"], table.index)
    # 3² + 4² = 5²
    np.testing.assert_allclose(table["determinant_error"], 5.0 * table.index, rtol=1e-15, atol=0)
    # Both say what has happened so far, though the step at which it did may not be kept, and is over.
    assert table.loc[[32, 40, 48, 1003], "least_moved"].tolist() == [1.0, 0.5, 0.5, 0.5]
    assert table.loc[[40, 48, 56, 104, 1003], "most_folded"].tolist() == [0.0, 0.75, 0.75, 0.75, 0.75]
    np.testing.assert_allclose(table["reverse_kl_approximate"], table["reverse_kl"] - 2.0, rtol=0, atol=1e-12)
    assert "reverse_kl_approximate" not in tabulate(dataclasses.replace(trace, observed={}))


# --- runs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "best"), [("ar01-acf-mgdm", 36), ("ar01-acf-mf", 157)])
def test_cell_in_full_gives_the_paper_s_number(store: ResultStore, key: str, best: int) -> None:
    assert complete(CELLS[key], store) == "computed"
    table = store.read(CELLS[key]).table
    printed = paper.numbers().set_index("key").loc[f"table1-{key}", "value"]
    assert f"{table['reverse_kl'].min():.2f}" == printed
    assert table["reverse_kl"].idxmin() == best and table.index[-1] == 250


def test_result_is_computed_once_and_found_afterwards(store: ResultStore) -> None:
    seen: list[tuple[int, float]] = []
    assert complete(EXACT, store, watch=lambda *now: seen.append(now)) == "computed"
    content = store.path(EXACT).read_bytes()
    assert complete(EXACT, store, watch=lambda *now: seen.append(now)) == "found"
    assert store.path(EXACT).read_bytes() == content and [step for step, _ in seen] == [*range(EXACT.n_steps + 1)]
    result = store.read(EXACT)
    np.testing.assert_allclose(result.table["reverse_kl"], [value for _, value in seen], rtol=5e-10, atol=0)
    assert result.provenance["jacobian"] == "banded" and result.provenance["device"] == "cpu"
    assert "ended" not in result.provenance and result.provenance["wall_time"] >= 0
    paths = result.provenance["best_paths"]
    # They are kept to four digits after the point, each off by half a unit of the last.
    assert len(paths) == EXACT.n_paths and abs(np.mean(paths) - result.table["reverse_kl"].min()) <= 0.5e-4


def test_cell_that_another_holds_is_busy(store: ResultStore) -> None:
    with ResultStore(store.folder).claim(EXACT):
        assert complete(EXACT, store) == "busy"
    assert store.load(EXACT) is None


@pytest.mark.parametrize(
    ("cell", "stop"),
    [(EXACT, 4), (ESTIMATED, 4), (INTERPOLATED, 108), (INTERPOLATED, 109)],
    ids=["exact", "estimated", "between determinants", "at a determinant"],
)
def test_interrupted_run_goes_on_from_its_checkpoint_to_the_same_bytes(
    store: ResultStore, tmp_path: Path, cell: Cell, stop: int
) -> None:
    def interrupt(step: int, divergence: float) -> None:
        if step == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        complete(cell, store, checkpoint_seconds=0, watch=interrupt)
    # The run was stopped before its last checkpoint could be written.
    progress = store.progress(cell)
    assert (progress.state, progress.step) == ("interrupted", stop - 1) and store.load(cell) is None
    steps: list[int] = []
    assert complete(cell, store, watch=lambda step, _: steps.append(step)) == "computed"
    assert steps == [*range(stop - 1, cell.n_steps + 1)]
    whole = run(cell, tmp_path / "whole")
    assert table_bytes(store, cell) == table_bytes(ResultStore(tmp_path / "whole"), cell)
    assert store.read(cell).provenance["best_paths"] == whole.provenance["best_paths"]
    assert not store.checkpoint_path(cell).exists()


STEP_SECONDS, INTERVAL_SECONDS = 0.05, 0.3
SLOW_RUN = f"""
import sys, time
from mfmgdm_lib.companion import TABLE_1
from mfmgdm_lib.runs import complete
from mfmgdm_lib.companion.table1 import Cell
from mfmgdm_lib.runs.store import ResultStore

def watch(step, divergence):
    print(step, flush=True)
    time.sleep({STEP_SECONDS})

complete({EXACT!r}, ResultStore(sys.argv[1]), checkpoint_seconds={INTERVAL_SECONDS}, watch=watch)
"""


def test_run_that_is_killed_loses_one_interval_at_most_and_ends_with_the_same_bytes(
    store: ResultStore, tmp_path: Path
) -> None:
    cell, kill_at = dataclasses.replace(EXACT, n_steps=40), 16
    command = [sys.executable, "-c", SLOW_RUN.replace(repr(EXACT), repr(cell)), str(store.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if int(line) == kill_at:
                    break
            assert store.progress(cell).state == "running" and complete(cell, store) == "busy"
        finally:
            process.kill()
        # What was printed between looking and killing counts, too.
        last = max([kill_at, *map(int, process.stdout)])
    assert process.returncode < 0
    progress = store.progress(cell)
    # A step takes STEP_SECONDS at least, and the one after whose end the interval is over may be under way.
    assert progress.state == "interrupted" and 0 < progress.step < cell.n_steps
    assert last - progress.step <= INTERVAL_SECONDS / STEP_SECONDS + 1
    steps: list[int] = []
    assert complete(cell, store, watch=lambda step, _: steps.append(step)) == "computed"
    assert steps[0] == progress.step
    run(cell, tmp_path / "whole")
    assert table_bytes(store, cell) == table_bytes(ResultStore(tmp_path / "whole"), cell)


def test_two_processes_on_one_store_share_the_cells(store: ResultStore, tmp_path: Path) -> None:
    pattern = "ar0*-acf-*"
    cells = select(table_1("quick"), [pattern])
    options = ["reproduce", "table1", "--profile", "quick", "--cells", pattern, "--store", str(store.folder)]
    command = [sys.executable, "-c", "from mfmgdm_lib.cli import main; main()", *options]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as one, subprocess.Popen(command, **pipes) as two:
        ends = [process.communicate() for process in (one, two)]
    assert (one.returncode, two.returncode) == (0, 0) and [errors for _, errors in ends] == ["", ""]
    texts = [text for text, _ in ends]
    assert "".join(texts).count("(computed)") == "".join(texts).count("(found)") == len(cells)
    for text in texts:
        assert [text.count(f" {cell.key} ") for cell in cells] == [1] * len(cells)
    assert {path for path in store.folder.iterdir() if path.is_file()} == {store.path(cell) for cell in cells}
    for cell in cells:
        run(cell, tmp_path / "alone")
        assert table_bytes(store, cell) == table_bytes(ResultStore(tmp_path / "alone"), cell)


DIVERGING = dataclasses.replace(CELLS["ar01-acf-mf"], step_size=1e3, n_steps=30, n_paths=4, target_samples=50)
"""Grows beyond all bounds within 15 steps, and not so fast that the square of a divergence would before."""


def test_run_that_diverges_is_kept_up_to_there_with_its_end(store: ResultStore) -> None:
    diverging = DIVERGING.run()
    for _ in diverging.steps():
        pass
    assert isinstance(diverging.stopped, mm.errors.DivergedError)
    assert complete(DIVERGING, store) == "computed"
    result = store.read(DIVERGING)
    assert result.provenance["ended"] == str(diverging.stopped) and "step_size 1000" in result.provenance["ended"]
    # The step at which an energy is not finite has no row.
    assert result.table.index.tolist() == [*range(diverging.stopped.step)]
    assert np.isfinite(result.table["reverse_kl"]).all()


def test_time_left_is_what_the_checkpoint_or_results_like_it_tell() -> None:
    # 12 steps of 4 paths, at 0.5 s for a path and step; 9 steps are left after 3, which took 6 s.
    assert seconds_left(EXACT, Progress("done"), {}) == 0.0
    assert seconds_left(EXACT, Progress("interrupted", 3, 6.0, 1.0), {"acf": 0.5}) == 18.0
    assert seconds_left(EXACT, Progress("missing"), {"acf": 0.5}) == 24.0
    assert np.isnan(seconds_left(EXACT, Progress("missing"), {"scatmean": 0.5}))


# --- deviation -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[Cell, Result]:
    return {cell: run(cell, tmp_path_factory.mktemp("results")) for cell in (EXACT, ESTIMATED)}


def altered(result: Result, step: int, column: str, change: float) -> Result:
    table = result.table.copy()
    table.loc[step, column] += change
    return dataclasses.replace(result, table=table)


@KINDS
def test_untouched_result_has_not_drifted(results: dict[Cell, Result], cell: Cell) -> None:
    assert deviation(cell, results[cell], n_steps=3) <= 1.0


@pytest.mark.parametrize("column", ["reverse_kl", "entropy", "log_likelihood"])
@pytest.mark.parametrize(("cell", "nats"), [(EXACT, 1e-4), (ESTIMATED, 1.0)], ids=["exact", "estimated"])
def test_altered_result_has_drifted(results: dict[Cell, Result], cell: Cell, nats: float, column: str) -> None:
    for sign in (1, -1):
        assert deviation(cell, altered(results[cell], 2, column, sign * nats), n_steps=2) > 1.0
    # What is beyond the steps that are asked for is not looked at.
    assert deviation(cell, altered(results[cell], 4, column, nats), n_steps=2) <= 1.0


@KINDS
def test_altered_loss_has_drifted(results: dict[Cell, Result], cell: Cell) -> None:
    change = 0.01 * results[cell].table.loc[2, "loss"]
    assert deviation(cell, altered(results[cell], 2, "loss", change), n_steps=2) > 1.0


def test_loss_at_the_start_may_be_as_far_off_as_transforms_round(results: dict[Cell, Result]) -> None:
    loss = results[ESTIMATED].table.loc[0, "loss"]
    rounding = 10 * 2.0**-23 * np.sqrt(2 * loss)  # ten stages for 1024 points
    for cell, factor, agrees in ((ESTIMATED, 0.5, True), (ESTIMATED, 3.0, False), (EXACT, 0.5, False)):
        assert (deviation(cell, altered(results[cell], 0, "loss", factor * rounding), n_steps=1) <= 1.0) is agrees


@KINDS
def test_result_of_another_step_size_has_drifted(results: dict[Cell, Result], cell: Cell) -> None:
    assert deviation(dataclasses.replace(cell, step_size=1.01 * cell.step_size), results[cell], n_steps=3) > 1.0


def test_result_with_a_value_that_is_none_has_drifted(results: dict[Cell, Result]) -> None:
    assert not deviation(EXACT, altered(results[EXACT], 2, "reverse_kl", np.nan), n_steps=3) <= 1.0


def test_result_that_lacks_the_first_steps_has_drifted(results: dict[Cell, Result]) -> None:
    short = dataclasses.replace(results[EXACT], table=pd.DataFrame(results[EXACT].table.loc[[0]]))
    assert not deviation(EXACT, short, n_steps=3) <= 1.0


def test_result_of_a_run_that_diverged_can_be_checked(store: ResultStore) -> None:
    complete(DIVERGING, store)
    assert deviation(DIVERGING, store.read(DIVERGING), n_steps=30) <= 1.0
