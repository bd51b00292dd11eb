"""Forecasts: the table against its paths, risk by horizon against closed forms, and files."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import mfmgdm_lib as mm
from mfmgdm_lib.forecasting import hold_out
from mfmgdm_lib.io.paths import paths_table, save_forecast, save_paths
from mfmgdm_lib.processes import VolatilityModel, fit_volatility
from mfmgdm_lib.risk import risk_ahead, risk_table

LAW = VolatilityModel("garch", 1e-6, 0.1, 0.88, start=0.01, mean=3e-4, phi=-0.05, degrees_of_freedom=6.0)


def prices(n: int = 701) -> pd.Series:
    path = LAW.sample(1, n, given=[0.0], seed=0)[0].numpy()
    levels = pd.Series(100.0 * np.exp(np.cumsum(path)), pd.bdate_range("2020-01-01", periods=n), name="Close")
    levels.attrs = {"source": "somewhere", "unit": "EUR", "frequency": "daily"}
    return levels


LEVELS = prices()
RETURNS = mm.data.returns(LEVELS)


@pytest.fixture(scope="module")
def made() -> mm.Forecast:
    return mm.forecast(RETURNS, 5, 2000, level=float(LEVELS.iloc[-1]), law=LAW)


def test_paths_are_those_of_the_law_after_the_series(made: mm.Forecast) -> None:
    given = torch.from_numpy(RETURNS.to_numpy())
    assert torch.equal(made.paths, LAW.sample(2000, 5, given=given, seed=0))
    again = mm.forecast(RETURNS, 5, 2000, level=float(LEVELS.iloc[-1]), law=LAW)
    pd.testing.assert_frame_equal(again.table, made.table)
    assert not torch.equal(mm.forecast(RETURNS, 5, 2000, seed=1, law=LAW).paths, made.paths)


def test_table_has_dates_and_quantiles_of_the_price(made: mm.Forecast) -> None:
    table = made.table
    assert table["date"].tolist() == pd.bdate_range(LEVELS.index[-1], periods=6)[1:].tolist()
    ends = LEVELS.iloc[-1] * made.paths.cumsum(-1).exp().numpy()
    for share in (5, 25, 50, 75, 95):
        np.testing.assert_allclose(table[f"{share} %"], np.percentile(ends, share, axis=0), rtol=1e-12)
    assert not (table.filter(like="±") <= 0.0).any(axis=None)


def test_losses_by_horizon_are_those_of_the_first_points() -> None:
    paths = LAW.sample(3000, 4, given=[0.0], seed=1)
    for kind in ("log", "difference"):
        table = risk_ahead(paths, kind=kind)
        for horizon in range(1, 5):
            rows = risk_table(paths[:, :horizon], [horizon], kind=kind).loc[horizon]
            for name in rows.index[:4]:
                assert table.loc[horizon, [name, f"{name} ±"]].tolist() == rows.loc[name].tolist()


def test_volatility_of_gaussian_paths_and_its_error() -> None:
    """The standard deviation of h of them is √h, and its error over N draws √h / √(2N)."""
    found = []
    for seed in range(100):
        noise = torch.from_numpy(np.random.default_rng(seed).standard_normal((1000, 4)))
        found.append(risk_ahead(noise)[["volatility", "volatility ±"]].to_numpy())
    exact = np.sqrt(np.arange(1, 5))
    values, errors = np.moveaxis(np.array(found), -1, 0)
    np.testing.assert_allclose(values.mean(0), exact, rtol=4.0 / math.sqrt(2000.0 * 100))
    # An error from a fourth moment is right to √(8/N)/2 or so in each, and to a tenth of it in the mean.
    np.testing.assert_allclose(errors.mean(0), exact / math.sqrt(2000.0), rtol=0.02)
    # Other than that, a spread of 100 is known to 7 %.
    np.testing.assert_allclose(values.std(0, ddof=1), errors.mean(0), rtol=0.28)


def test_forecast_of_differences_adds_up_rates_that_may_be_below_0() -> None:
    rates = pd.Series(LEVELS.to_numpy() / 100.0 - 1.0, LEVELS.index)
    changes = mm.data.returns(rates, "difference")
    made = mm.forecast(changes, 3, 500, level=-0.25, law=LAW)
    ends = -0.25 + made.paths.sum(-1).numpy()
    assert made.table.loc[3, "50 %"] == pytest.approx(np.median(ends), abs=1e-15)
    assert made.table.loc[3, "value at risk, 95 %"] == pytest.approx(np.quantile(-made.paths.sum(-1).numpy(), 0.95))


def test_series_without_dates_or_level_has_a_table_without_them() -> None:
    made = mm.forecast(RETURNS.to_numpy(), 3, 500, law=LAW)
    assert made.table.columns[0] == "volatility" and made.table.index.tolist() == [1, 2, 3]
    minutes = RETURNS.set_axis(pd.date_range("2024-01-02", periods=len(RETURNS), freq="min"))
    assert "date" not in mm.forecast(minutes, 3, 500, law=LAW).table


def test_notes_say_what_speaks_against_the_series(made: mm.Forecast) -> None:
    assert any("700 points" in note for note in made.notes)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [({"horizon": 0}, "horizon is 0"), ({"n_paths": 1}, "n_paths is 1"), ({"level": -1.0}, "first is -1.0")],
)
def test_settings_out_of_range_are_refused(arguments: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        mm.forecast(RETURNS, law=LAW, **arguments)  # type: ignore[arg-type]


def test_file_has_the_table_below_what_it_was_made_of(made: mm.Forecast, tmp_path: Path) -> None:
    file = save_forecast(made, tmp_path / "forecast.csv")
    head = dict(line[2:].split(": ", 1) for line in file.read_text(encoding="utf-8").splitlines() if line[0] == "#")
    about = {name: json.loads(value) for name, value in head.items()}
    assert about["kind"] == "forecast" and about["source"] == "somewhere" and about["seed"] == "0"
    assert about["last"] == RETURNS.index[-1].isoformat() and about["law"] == repr(LAW)
    read = pd.read_csv(file, comment="#", index_col="horizon", parse_dates=["date"])
    pd.testing.assert_frame_equal(read, made.table, check_freq=False, check_dtype=False)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz"])
def test_paths_are_written_as_prices_from_the_last(made: mm.Forecast, tmp_path: Path, suffix: str) -> None:
    last = float(LEVELS.iloc[-1])
    file = save_paths(made, tmp_path / f"paths{suffix}", prices=last, dates=True)
    table = paths_table(made, prices=last, dates=True)
    if suffix == ".npz":
        with np.load(file) as arrays:
            assert (arrays["prices"] == table.to_numpy().T).all() and "report" not in arrays
            assert (arrays["paths"] == made.paths.numpy()).all() and arrays["law"] == repr(LAW)
    else:
        read = (
            pd.read_parquet(file)
            if suffix == ".parquet"
            else pd.read_csv(file, comment="#", index_col=0, float_precision="round_trip")
        )
        assert (read.to_numpy() == table.to_numpy()).all() and table.index[0] == LEVELS.index[-1]


def test_held_out_days_are_back_tested(made: mm.Forecast) -> None:
    held_out = hold_out(RETURNS, 200, law=LAW)
    (forecasts,) = held_out.forecasts.values()
    assert forecasts.table.index.equals(RETURNS.index[-200:])
    assert held_out.table.loc[("argarch-t", "violations, 95 %"), "expected"] == pytest.approx(10.0)
    with pytest.raises(ValueError, match="days is 201 with a series of 700"):
        hold_out(RETURNS, 201)


def test_flow_is_back_tested_beside_its_base() -> None:
    weights = torch.tensor([[0.02, 0.02, -0.01]], dtype=torch.float64)
    flow = mm.ConditionalFlow(LAW, mm.energies.GivenPast((1,)), weights)
    held_out = hold_out(RETURNS, 100, base="garch-t", law=flow)
    first, second = held_out.forecasts.values()
    gains = held_out.table.loc["gain over garch-t"]
    difference = first.table["log score"] - second.table["log score"]
    assert gains.loc["log score, mean", "value"] == pytest.approx(difference.mean(), abs=1e-15)
    assert held_out.table.loc[("flow", "log score, mean"), "value"] == first.table["log score"].mean()
    given = torch.from_numpy(RETURNS.to_numpy())
    np.testing.assert_allclose(second.table["log score"], LAW.log_densities(given)[-100:], rtol=1e-12)
    np.testing.assert_allclose(first.table["log score"], flow.log_densities(given)[-100:], rtol=1e-12)
    assert difference.abs().max() > 1e-3


def test_law_is_fitted_to_the_days_before_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfmgdm_lib.forecasting.fit_conditional_flow", fit_volatility)  # which is quicker
    changed = RETURNS.copy()
    changed.iloc[-100:] *= 3.0
    first, second = (next(iter(hold_out(x, 100).forecasts.values())).table for x in (RETURNS, changed))
    assert first["value at risk, 99 %"].iloc[0] == second["value at risk, 99 %"].iloc[0]
    assert first["value at risk, 99 %"].iloc[5] != second["value at risk, 99 %"].iloc[5]
