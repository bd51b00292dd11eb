"""Figures 6 to 10: the paper's settings, resumable runs, stored summaries, and the series."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import mfmgdm_lib as mm
from mfmgdm_lib import data
from mfmgdm_lib.companion import (
    MARKET,
    SERIES,
    MarketCell,
    MarketExperiment,
    market_cells,
    market_deviation,
    observed_returns,
    select,
)
from mfmgdm_lib.energies import StylizedFacts
from mfmgdm_lib.runs.cells import complete
from mfmgdm_lib.runs.store import Result, ResultStore

CELLS = {cell.key: cell for cell in MARKET}

MGDM, MF, FLOW, REFERENCE = (
    dataclasses.replace(CELLS[key], n_paths=8, length=128, **settings)  # type: ignore[arg-type]
    for key, settings in {
        "sp500-stylized-noise-20000-mgdm-descent": {"n_steps": 30},
        "sp500-stylized-noise-20000-mf-descent": {"n_steps": 30},
        "sp500-stylized-noise-20000-mf-flow": {"n_steps": 30},
        "sp500-reference": {},
    }.items()
)
"""A fraction of a second each."""

SCATTERING = dataclasses.replace(CELLS["sp500-scatcov-noise-500-mf-descent"], n_paths=2, n_steps=3)
"""Two seconds: in float32, with 1024 points, for which there are filters, and without determinants."""

DESCENTS = pytest.mark.parametrize("cell", [MGDM, MF], ids=["MGDM", "MF-MGDM"])


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(tmp_path / "store")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[MarketCell, Result]:
    return {cell: run(cell, tmp_path_factory.mktemp("results")) for cell in (MGDM, MF, FLOW, REFERENCE)}


def run(cell: MarketCell, folder: Path) -> Result:
    """The result of a run that nobody disturbs."""
    store = ResultStore(folder)
    assert complete(cell, store) == "computed"
    return store.read(cell)


def table_bytes(store: ResultStore, cell: MarketCell) -> bytes:
    """The table of a result as it is on disk, without the lines above it, which say how long it took."""
    return b"".join(line for line in store.path(cell).read_bytes().splitlines(True) if not line.startswith(b"#"))


def curve(result: Result, quantity: str) -> pd.Series:
    rows = result.table.loc[[quantity]]
    return pd.Series(rows["value"].to_numpy(), rows["at"].astype(float).to_numpy())


def states(cell: MarketCell) -> list[mm.State]:
    """Those of the plain descent from the paper's draws."""
    experiment = cell.experiment()
    size = {"mgdm": 1, "mf": None}[cell.model]
    model = mm.Descent(StylizedFacts(20), experiment.target, cell.step_size, ensemble_size=size)
    x0 = torch.from_numpy(np.random.default_rng((2, 12345)).standard_normal((cell.n_paths, cell.length)))
    return list(model.steps(x0, cell.n_steps))


# --- the cells ---------------------------------------------------------------------------------------------------


def test_keys_and_files_are_of_one_cell_each(store: ResultStore) -> None:
    assert len(CELLS) == len(MARKET) == len({store.path(cell) for cell in MARKET})
    assert {cell.series for cell in MARKET} == {"sp500", "usd-5y", "usd-10y", "eur-5y", "eur-10y"}


@pytest.mark.parametrize("method", ["descent", "flow"])
@pytest.mark.parametrize("model", ["mgdm", "mf"])
@pytest.mark.parametrize(
    ("series", "n_steps"), [("sp500", 20_000), ("usd-5y", 2500), ("usd-10y", 2500), ("eur-5y", 2500), ("eur-10y", 5000)]
)
def test_stylised_cells_have_the_settings_of_section_5_2(series: str, n_steps: int, model: str, method: str) -> None:
    cell = CELLS[f"{series}-stylized-noise-{n_steps}-{model}-{method}"]
    assert (cell.step_size, cell.n_steps, cell.model, cell.method) == (50.0, n_steps, model, method)
    assert (cell.n_paths, cell.length, cell.seed, cell.start, cell.dtype) == (
        1024,
        1024,
        (2, 12345),
        "noise",
        "float64",
    )


@pytest.mark.parametrize("model", ["mgdm", "mf"])
@pytest.mark.parametrize(
    ("series", "start", "step_size", "n_steps"),
    [
        ("sp500", "noise", 1.0, 500),
        ("sp500", "garch", 1.0, 2500),
        ("usd-5y", "noise", 1.0, 250),
        ("usd-10y", "noise", 10.0, 2000),
        ("eur-5y", "noise", 10.0, 1000),
        ("eur-10y", "noise", 10.0, 1000),
    ],
)
def test_scattering_cells_have_the_settings_of_section_5_2(
    series: str, start: str, step_size: float, n_steps: int, model: str
) -> None:
    cell = CELLS[f"{series}-scatcov-{start}-{n_steps}-{model}-descent"]
    assert (cell.step_size, cell.n_steps, cell.model, cell.start) == (step_size, n_steps, model, start)
    assert (cell.n_paths, cell.length, cell.seed, cell.dtype) == (1024, 1024, (2, 12345), "float32")


def test_figure_9_is_of_mgdm_alone() -> None:
    keys = [cell.key for cell in MARKET if cell.n_steps == 10_000 and cell.method == "descent"]
    assert keys == ["sp500-scatcov-noise-10000-mgdm-descent"]


def test_each_series_has_its_reference_model() -> None:
    for series in ("sp500", "usd-5y", "usd-10y", "eur-5y", "eur-10y"):
        cell = CELLS[f"{series}-reference"]
        assert (cell.method, cell.start, cell.n_steps) == ("none", "argarch-t", 0)
        assert (cell.n_paths, cell.length, cell.seed) == (1024, 1024, (2, 12345))


def test_paths_are_fewer_than_the_paper_s_in_the_descent_by_smaller_steps_alone() -> None:
    few = [cell for cell in MARKET if cell.n_paths != 1024]
    assert [cell.key for cell in few] == ["sp500-stylized-noise-100000-mf-descent"]
    # 10 · 100 000 are 50 · 20 000: as long a way.
    assert few[0].step_size * few[0].n_steps == 50.0 * 20_000


def test_series_are_the_paper_s() -> None:
    points = {name: series.n_points for name, series in SERIES.items()}
    assert points == {name: 2048 if name.startswith("eur") else 4096 for name in points}
    kinds = {name: series.kind for name, series in SERIES.items()}
    assert kinds == {name: "log" if name.startswith("sp500") else "difference" for name in kinds}
    named = {name: (series.source, series.identifier) for name, series in SERIES.items()}
    assert named == {
        "sp500": ("arch", "^GSPC"),
        "sp500-2024": ("yahoo", "^GSPC"),
        "usd-5y": ("fred", "DGS5"),
        "usd-10y": ("fred", "DGS10"),
        "eur-5y": ("ecb", "SR_5Y"),
        "eur-10y": ("ecb", "SR_10Y"),
    }


@pytest.mark.parametrize(
    ("pattern", "keys"),
    [
        (
            "eur-5y-stylized-*",
            [f"eur-5y-stylized-noise-2500-{m}-{k}" for k in ("descent", "flow") for m in ("mgdm", "mf")],
        ),
        ("usd-*-reference", ["usd-5y-reference", "usd-10y-reference"]),
        ("sp500-scatcov-garch-*-flow", [f"sp500-scatcov-garch-2500-{m}-flow" for m in ("mgdm", "mf")]),
    ],
)
def test_patterns_select_cells(pattern: str, keys: list[str]) -> None:
    assert [cell.key for cell in select(MARKET, [pattern])] == keys


def test_pattern_that_matches_nothing_is_said_with_the_names_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"no cell is called 'sek-\*'; expected a name such as 'sp500-reference'") as e:
        select(MARKET, ["sek-*"])
    assert [key for key in CELLS if key not in str(e.value)] == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"series": "sek-5y"}, "series is 'sek-5y'; expected one of 'sp500', "),
        ({"method": "leap"}, "method is 'leap'; expected one of 'descent', 'flow', 'none'"),
        ({"step_size": 0.0}, "step_size is 0.0; expected a finite number above 0"),
    ],
)
def test_settings_out_of_range_are_said(settings: dict[str, str | float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(MF, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"energy": "styled"}, "energy is 'styled'"),
        ({"model": "mfmgdm"}, "model is 'mfmgdm'"),
        ({"start": "pink noise"}, "start is 'pink noise'"),
    ],
)
def test_other_names_that_are_none_are_said_before_anything_is_run(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(MF, **settings).run()  # type: ignore[arg-type]


def test_whole_step_size_names_the_same_file_whether_int_or_float(store: ResultStore) -> None:
    assert store.path(dataclasses.replace(MF, step_size=50)) == store.path(MF)


def test_energy_of_the_scattering_cells_has_the_components_of_a_garch() -> None:
    energy = SCATTERING.experiment().energy
    expected = mm.companion.projected_covariance("garch")
    other = mm.companion.projected_covariance("white noise")
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 1024)))
    assert energy.dim == 20 and torch.equal(energy(x), expected(x)) and not torch.isclose(energy(x), other(x)).all()


# --- runs --------------------------------------------------------------------------------------------------------


@DESCENTS
def test_run_is_the_descent_of_the_model(results: dict[MarketCell, Result], cell: MarketCell) -> None:
    expected, table = states(cell), results[cell]
    # Five digits are kept of everything, and three after the point of a path.
    losses = curve(table, "loss")
    assert losses.index.tolist() == [*range(31)]
    np.testing.assert_allclose(losses, [float(state.loss.mean()) for state in expected], rtol=6e-5, atol=0)
    np.testing.assert_allclose(curve(table, "path"), expected[-1].paths[0].numpy(), rtol=0, atol=6e-4)
    medians = mm.statistics.path_statistics(expected[-1].paths)
    for name in ("kurtosis", "acf 1", "squares 20", "tail 0.001", "mean", "stddev"):
        value = float(np.median(medians[name].numpy()))
        assert curve(table, name)[0.5] == pytest.approx(value, rel=6e-5), name


@DESCENTS
def test_log_determinant_is_the_sum_over_all_steps(results: dict[MarketCell, Result], cell: MarketCell) -> None:
    experiment = cell.experiment()
    model = experiment.model({"mgdm": 1, "mf": None}[cell.model])
    per_day = [float(mm.log_determinant(model, state).per_path.mean()) / cell.length for state in states(cell)[:-1]]
    found = curve(results[cell], "log_determinant")
    assert found.index.tolist() == [*range(31)]
    np.testing.assert_allclose(found, np.cumsum([0.0, *per_day]), rtol=6e-5, atol=0)
    assert abs(found.iloc[-1]) > 1e-3
    assert not curve(results[cell], "error").any()  # all steps have a determinant of their own


def test_share_of_folded_ensembles_is_the_largest_so_far() -> None:
    cell = dataclasses.replace(MGDM, step_size=40.0)
    model = cell.experiment().model(1)
    folded = [float((mm.log_determinant(model, state).non_positive > 0).double().mean()) for state in states(cell)[:-1]]
    assert min(folded) < max(folded) and folded[-1] < max(folded)
    under_way = cell.run()
    for _ in under_way.steps():
        pass
    table, _ = under_way.summary()
    np.testing.assert_allclose(table.loc["folded", "value"], np.maximum.accumulate(folded), rtol=6e-5)


@pytest.mark.parametrize("size", [1, None], ids=["MGDM", "MF-MGDM"])
def test_determinants_of_some_paths_stand_for_those_of_all(
    size: int | None, monkeypatch: pytest.MonkeyPatch, noise: Callable[..., Tensor]
) -> None:
    # Of an ensemble that has each path twice, half of it says all there is to say.
    x, model = noise(4, 128), MF.experiment().model(size)
    state = model.evaluate(x.repeat(2, 1))
    exact = mm.log_determinant(model, state)
    expected = [float(exact.per_path.mean()), float((exact.non_positive > 0).double().mean())]
    for paths in (128, 8, 4):
        monkeypatch.setattr(market_cells, "ENTROPY_PATHS", paths)
        found = market_cells._sampled_determinant(model, state)
        np.testing.assert_allclose([found["log_determinant"], found["folded"]], expected, rtol=1e-10)
    # And another half, another thing.
    other = market_cells._sampled_determinant(model, model.evaluate(torch.cat([noise(4, 128, seed=1), x])))
    assert abs(other["log_determinant"] - expected[0]) > 1e-6


def test_flow_ends_where_that_of_the_library_does(results: dict[MarketCell, Result]) -> None:
    experiment = FLOW.experiment()
    x0 = torch.from_numpy(np.random.default_rng((2, 12345)).standard_normal((8, 128)))
    expected = list(mm.GradientFlow(experiment.energy, experiment.target).steps(x0, 50.0 * 30))
    result = results[FLOW]
    assert result.provenance["steps"] == len(expected) - 1
    np.testing.assert_allclose(curve(result, "loss"), [float(s.loss.mean()) for s in expected], rtol=6e-5)
    np.testing.assert_allclose(curve(result, "path"), expected[-1].paths[0].numpy(), rtol=0, atol=6e-4)


@pytest.mark.parametrize("n_steps", [30, 33, 1000])
def test_flow_counts_the_steps_that_it_stands_for_to_the_last(n_steps: int) -> None:
    of_flow = dataclasses.replace(FLOW, n_steps=n_steps).run()
    counted = list(of_flow.steps())
    assert counted[0] == 0 and counted == sorted(counted)
    assert counted[-1] == n_steps


def test_reference_is_the_fitted_law_as_it_is(results: dict[MarketCell, Result]) -> None:
    experiment, result = REFERENCE.experiment(), results[REFERENCE]
    law = mm.fit_argarch(experiment.series, "student").process
    paths = law.sample(8, 1128, (2, 12345))[:, 1000:]
    np.testing.assert_allclose(curve(result, "path"), paths[0].numpy(), rtol=0, atol=6e-4)
    assert curve(result, "loss").index.tolist() == [0.0] and result.provenance["steps"] == 0


QUANTITIES = {
    "loss",
    *(f"{kind} {lag}" for kind in ("acf", "squares") for lag in range(1, 21)),
    *("mean", "stddev", "kurtosis", "marginal", "path"),
    *(f"tail {share}" for share in (0.001, 0.01, 0.05, 0.95, 0.99, 0.999)),
    *("series value", "series spread", "series marginal"),
}


@pytest.mark.parametrize(
    ("cell", "more"),
    [(MGDM, {"log_determinant", "error", "folded"}), (FLOW, {"descent step"}), (REFERENCE, set())],
    ids=["descent", "flow", "none"],
)
def test_table_has_every_quantity(results: dict[MarketCell, Result], cell: MarketCell, more: set[str]) -> None:
    result = results[cell]
    assert set(result.table.index) == QUANTITIES | more
    assert result.table.columns.tolist() == ["at", "value"] and result.table["value"].notna().all()
    assert len(curve(result, "path")) == 128 and len(curve(result, "kurtosis")) == 33
    np.testing.assert_allclose(result.provenance["alpha"], cell.experiment().target.mean.numpy(), rtol=6e-6)


def test_table_says_what_the_series_is_like(results: dict[MarketCell, Result]) -> None:
    series = REFERENCE.experiment().series
    rows = results[MF].table.loc["series value"]
    values = dict(zip(rows["at"], rows["value"], strict=True))
    exact = mm.statistics.path_statistics(series[None])
    assert values.keys() == exact.keys()
    for name, value in values.items():
        assert value == pytest.approx(float(exact[name]), rel=6e-5, abs=1e-12), name


@pytest.mark.parametrize(
    ("cell", "stop"), [(MGDM, 12), (MF, 12), (MF, 29), (SCATTERING, 2)], ids=["MGDM", "MF", "MF, last", "scattering"]
)
def test_interrupted_descent_goes_on_from_its_checkpoint_to_the_same_bytes(
    store: ResultStore, tmp_path: Path, cell: MarketCell, stop: int
) -> None:
    interrupt(cell, store, stop)
    progress = store.progress(cell)
    assert (progress.state, progress.step) == ("interrupted", stop - 1)
    steps: list[int] = []
    assert complete(cell, store, watch=lambda step, _: steps.append(step)) == "computed"
    assert steps == [*range(stop - 1, cell.n_steps + 1)]
    run(cell, tmp_path / "whole")
    assert table_bytes(store, cell) == table_bytes(ResultStore(tmp_path / "whole"), cell)
    assert not store.checkpoint_path(cell).exists()


def interrupt(cell: MarketCell, store: ResultStore, stop: int) -> None:
    """Run a cell with a checkpoint after every step, until it is stopped at the first step that is at least `stop`."""

    def watch(step: int, loss: float) -> None:
        if step >= stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        complete(cell, store, checkpoint_seconds=0, watch=watch)
    assert store.load(cell) is None


def test_interrupted_flow_begins_again_and_ends_with_the_same_bytes(store: ResultStore, tmp_path: Path) -> None:
    interrupt(FLOW, store, 1)
    assert store.progress(FLOW).state == "interrupted"
    assert complete(FLOW, store) == "computed"
    run(FLOW, tmp_path / "whole")
    assert table_bytes(store, FLOW) == table_bytes(ResultStore(tmp_path / "whole"), FLOW)


def test_checkpoint_of_another_size_is_set_aside(tmp_path: Path) -> None:
    messages: list[str] = []
    store = ResultStore(tmp_path / "store", report=messages.append)
    interrupt(MF, store, 5)
    other = dataclasses.replace(MF, n_paths=4)
    store.checkpoint_path(MF).replace(store.checkpoint_path(other))
    assert complete(other, store) == "computed"
    assert len(messages) == 1 and "has paths (8, 128)" in messages[0] and "expected paths (4, 128)" in messages[0]
    run(other, tmp_path / "whole")
    assert table_bytes(store, other) == table_bytes(ResultStore(tmp_path / "whole"), other)


def test_run_that_diverges_is_kept_up_to_there_with_its_end(store: ResultStore) -> None:
    cell = dataclasses.replace(MF, step_size=1e5)
    assert complete(cell, store) == "computed"
    result = store.read(cell)
    assert "step_size 100000" in result.provenance["ended"]
    assert result.provenance["steps"] < 30 and np.isfinite(curve(result, "loss")).all()


def test_headline_says_the_loss_and_the_steps(results: dict[MarketCell, Result]) -> None:
    last = curve(results[MF], "loss").iloc[-1]
    assert MF.headline(results[MF]) == f"loss {last:.1e} after 30 steps"
    assert MF.value_format.format(last) == f"loss {last:.1e}"


def test_work_is_measured_in_paths_and_steps_where_there_are_that_many() -> None:
    assert (MF.size, FLOW.size, REFERENCE.size) == (8 * 30, 8, 8)
    assert MF.kind == MGDM.kind and len({MF.kind, FLOW.kind, REFERENCE.kind, SCATTERING.kind}) == 4


# --- series ------------------------------------------------------------------------------------------------------


def test_returns_of_the_sp500_are_the_last_4096_that_arch_ships() -> None:
    returns = observed_returns("sp500")
    pd.testing.assert_series_equal(returns, data.returns(data.sp500()).iloc[-4096:])
    assert str(returns.index[-1].date()) == "2018-12-31"


def test_unknown_series_is_said() -> None:
    for call in (lambda: observed_returns("sek-5y"), lambda: MarketExperiment("sek-5y").series):
        with pytest.raises(ValueError, match="series is 'sek-5y'; expected one of 'sp500', 'sp500-2024', 'usd-5y'"):
            call()


def test_unknown_start_is_said_at_once() -> None:
    with pytest.raises(ValueError, match="start is 'pink'; expected one of 'noise', 'student', 'garch', 'argarch'"):
        MarketExperiment(start="pink")


FILES = {"usd-5y": "DGS5", "usd-10y": "DGS10", "eur-5y": "SR_5Y", "eur-10y": "SR_10Y"}


@pytest.fixture
def put_rates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., pd.Series]:
    """Write made-up rates of so many days, up to 10 May 2024, to where they are looked for; return them."""
    monkeypatch.setenv("MFMGDM_DATA_DIR", str(tmp_path))

    def put(name: str, days: int) -> pd.Series:
        dates = pd.bdate_range(end="2024-05-10", periods=days, name="date")
        steps = np.random.default_rng(0).standard_t(5, days).cumsum()
        rates = pd.Series(np.round(3.0 + 2.0 * np.sin(0.01 * steps), 4), dates, name="rate")
        rates.to_csv(tmp_path / f"{FILES[name]}.csv")
        return rates

    return put


@pytest.mark.parametrize(("name", "n"), [("usd-5y", 4096), ("usd-10y", 4096), ("eur-5y", 2048), ("eur-10y", 2048)])
def test_returns_of_rates_are_the_last_differences_up_to_april_2024(
    name: str, n: int, put_rates: Callable[..., pd.Series]
) -> None:
    rates = put_rates(name, n + 50)
    returns = observed_returns(name)
    assert len(returns) == n and str(returns.index[-1].date()) == "2024-04-30"
    expected = rates.diff().loc[:"2024-04-30"].iloc[-n:]  # type: ignore[misc]
    np.testing.assert_array_equal(returns, expected)
    assert returns.index.equals(expected.index)
    assert returns.attrs["unit"] == "percent per annum per trading day"


def test_rates_that_are_too_short_are_said(put_rates: Callable[..., pd.Series]) -> None:
    put_rates("eur-10y", 2048 + 8)  # of which 8 are after the end, and one is lost in the differences
    with pytest.raises(ValueError, match=r"EUR 10Y has 2047 returns up to 2024-04-30; expected 2048. Fetch a longer"):
        observed_returns("eur-10y")
    put_rates("eur-10y", 2048 + 9)
    assert len(observed_returns("eur-10y")) == 2048


def test_rates_that_are_not_there_are_said(put_rates: Callable[..., pd.Series]) -> None:
    put_rates("usd-5y", 5000)
    with pytest.raises(FileNotFoundError, match=r"which has none of fred/DGS10\.csv, DGS10\.csv"):
        observed_returns("usd-10y")


def test_cell_of_rates_descends_to_their_energy(put_rates: Callable[..., pd.Series], store: ResultStore) -> None:
    rates = put_rates("eur-5y", 2100)
    cell = dataclasses.replace(
        CELLS["eur-5y-stylized-noise-2500-mf-descent"], n_paths=8, length=128, n_steps=5, step_size=1.0
    )
    assert complete(cell, store) == "computed"
    changes = rates.diff().loc[:"2024-04-30"].iloc[-2048:].to_numpy()  # type: ignore[misc]
    scaled = torch.from_numpy((changes - changes.mean()) / changes.std())
    result = store.read(cell)
    np.testing.assert_allclose(result.provenance["alpha"], StylizedFacts(20)(scaled).numpy(), rtol=6e-6)
    losses = curve(result, "loss")
    assert losses.iloc[-1] < losses.iloc[0]


def test_flow_says_up_to_which_step_of_the_descent_it_has_come(results: dict[MarketCell, Result]) -> None:
    reached = results[FLOW].table.loc["descent step", "value"].to_numpy()
    assert reached[0] == 0.0 and (np.diff(reached) > 0).all()
    assert reached[-1] == pytest.approx(FLOW.n_steps, rel=6e-5)  # five digits are kept


# --- market_deviation ------------------------------------------------------------------------------------------------

KINDS = pytest.mark.parametrize("cell", [MF, FLOW, REFERENCE, SCATTERING], ids=lambda cell: cell.key)


@KINDS
def test_untouched_result_has_not_drifted(store: ResultStore, cell: MarketCell) -> None:
    complete(cell, store)
    assert market_deviation(cell, store.read(cell), 2) <= 1.0


@KINDS
def test_altered_loss_or_another_series_has_drifted(store: ResultStore, cell: MarketCell) -> None:
    complete(cell, store)
    result = store.read(cell)
    # A unit of the fifth digit is beyond what rounding explains, and one of the sixth of a target; fits are less exact.
    table = result.table.copy()
    table.iloc[0, table.columns.get_loc("value")] *= 1 + (2e-3 if cell.start == "argarch-t" else 2e-4)
    assert market_deviation(cell, dataclasses.replace(result, table=table), 2) > 1.0
    alpha = result.provenance["alpha"]
    for other in ([1.00002 * alpha[0], *alpha[1:]], alpha[1:]):
        about = {**result.provenance, "alpha": other}
        assert market_deviation(cell, dataclasses.replace(result, provenance=about), 2) > 1.0


def test_density_and_what_lies_beyond_it_make_one() -> None:
    found = mm.companion.stored_market()["sp500-reference"]
    # 4 of 4096 days; densities are kept to six digits.
    assert found.share_beyond(of_series=True) == pytest.approx(4 / 4096, abs=5e-6)
    assert 0.001 < found.share_beyond() < 0.01


def test_stylised_descents_are_those_of_figures_6_and_7() -> None:
    descents = mm.companion.stylized_descents(mm.companion.stored_market())
    assert list(descents) == ["S&P 500", "USD 5Y", "USD 10Y", "EUR 5Y", "EUR 10Y"]
    for pair in descents.values():
        assert list(pair) == ["MGDM", "MF–MGDM"]
        assert {(s.cell.method, s.cell.start, s.cell.step_size) for s in pair.values()} == {("descent", "noise", 50.0)}


def test_spreads_as_text_have_a_column_for_each_model() -> None:
    spreads = pd.DataFrame(
        {"series": [0.344], "windows ±": [0.1], "MGDM": [-0.356], "MGDM ±": [0.016]}, index=["squares"]
    )
    text = mm.companion.spreads_text(spreads)
    assert list(text.columns) == ["series", "windows", "MGDM"]
    assert text.loc["squares"].tolist() == ["0.34", "± 0.10", "−0.36 ± 0.02"]
