"""Doubts about a series: each kind of fault is found with its date, and series without faults raise none."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from mfmgdm_lib import cli
from mfmgdm_lib.data.doubts import FALSE_ALARM, find_doubts, too_large

N = 1500
DATES = pd.bdate_range("2012-01-02", periods=N, name="date")
STEPS = 0.01 * np.random.default_rng(0).standard_t(5, N)
RETURNS = pd.Series(STEPS, DATES)
PRICES = pd.Series(100.0 * np.exp(np.cumsum(STEPS)), DATES, name="Close")
AT = 700
DATE = f"{DATES[AT]:%Y-%m-%d}"


def changed(factor: float, at: slice | int) -> pd.Series:
    prices = PRICES.copy()
    prices.iloc[at] *= factor
    return prices


def day_of_five_minutes() -> pd.Series:
    """Prices every five minutes of thirty trading days, whose steps are twice as large at both ends of a day."""
    days = pd.bdate_range("2024-01-02", periods=30)
    times = pd.DatetimeIndex(np.concatenate([pd.date_range(day, periods=78, freq="5min") for day in days]))
    size = np.tile(1.0 + np.abs(np.linspace(-1.0, 1.0, 78)), 30)
    steps = 0.001 * size * np.random.default_rng(1).standard_normal(len(times))
    return pd.Series(100.0 * np.exp(np.cumsum(steps)), times)


def without(prices: pd.Series, at: slice) -> pd.Series:
    """The prices, with a gap."""
    return prices.where(~np.isin(np.arange(len(prices)), np.arange(len(prices))[at]))


GAP = slice(AT, AT + 10)
OVER = f"From {DATES[AT - 1]:%Y-%m-%d} to {DATES[AT + 10]:%Y-%m-%d}, 11 changes in a row are the same"
filled = PRICES.asfreq("D").ffill()
business = PRICES.drop(DATES[(DATES.day == 25) & (DATES.month == 12) | (DATES.day == 1) & (DATES.month == 1)])
FAULTS = {
    "split": (changed(1 / 7, slice(AT, None)), "log", [f"to .* on {DATE}, by a factor of about 1/7"]),
    "split of three for two": (changed(2 / 3, slice(AT, None)), "log", [f"on {DATE}, by a factor of about 2/3"]),
    "hundredfold": (changed(100.0, AT), "log", [f"on {DATE}, by a factor of about 100; .* about 1/100"]),
    "a zero": (changed(0.0, AT), "difference", [f"value of 0 on {DATE} may stand for a missing one"]),
    "mark of a missing value": (
        pd.Series(STEPS, DATES).where(DATES[AT] != DATES, -99.99),
        "none",
        [f"-99.99 on {DATE}"],
    ),
    "sixty marks": (
        RETURNS.where(np.arange(N) % 25 > 0, -99.99),
        "none",
        ["60 values.* -99.99 on 2012-01-02, .* 57 more"],
    ),
    "gap": (PRICES.drop(DATES[AT:1300]), "log", [r"gap of \d+ days, from 2014-09-05 to 2016-12-26"]),
    "spacing": (
        pd.concat([PRICES[:AT], PRICES[AT::5]]),
        "log",
        ["1 days apart at first, and 7 days from about 2014"],
    ),
    "weekends": (filled, "log", [r"On 598 of 598 weekend days, the first on 2012-01-07", "cycle of 7 points"]),
    "holidays": (
        business.asfreq("B").ffill(),
        "log",
        ["On 8 of 8 days that are 25 December .* on 2012-12-25"],
    ),
    "straight line": (without(PRICES, GAP).interpolate(), "log", [f"{OVER}: .*a straight line.$"]),
    "straight line of logarithms": (np.exp(without(np.log(PRICES), GAP).interpolate()), "log", [OVER]),
    "straight lines": (
        without(without(PRICES, GAP), slice(300, 305)).interpolate(),
        "difference",
        [f"{OVER}: .*straight line; there are 1 more such stretches"],
    ),
    "returns": (RETURNS, "difference", ["5. % of the values are below 0, the first on 2012-01-0"]),
    "size over the day": (day_of_five_minutes(), "log", ["cycle of 78 points"]),
}


@pytest.mark.parametrize(("series", "kind", "expected"), FAULTS.values(), ids=list(FAULTS))
def test_each_fault_is_found_with_its_date_and_nothing_else(series: pd.Series, kind: str, expected: list[str]) -> None:
    found = find_doubts(series, kind)
    assert len(found) == len(expected), found
    for doubt, pattern in zip(found, expected, strict=True):
        assert re.search(pattern, doubt), doubt


def real() -> dict[str, tuple[pd.Series, str]]:
    import arch.data.core_cpi
    import arch.data.crude
    import arch.data.default
    import arch.data.nasdaq
    import arch.data.sp500
    import arch.data.vix
    import arch.data.wti

    prices = {
        "S&P 500": arch.data.sp500.load()["Adj Close"],
        "NASDAQ": arch.data.nasdaq.load()["Adj Close"],
        "WTI": arch.data.wti.load()["DCOILWTICO"],
        "Brent, monthly": arch.data.crude.load()["Brent"],
        "VIX": arch.data.vix.load()["vix"],
        "core CPI": arch.data.core_cpi.load()["CPILFESL"],
    }
    yields = {name: (series, "difference") for name, series in arch.data.default.load().items()}
    return {name: (series.dropna(), "log") for name, series in prices.items()} | yields


@pytest.mark.parametrize(("series", "kind"), (REAL := real()).values(), ids=list(REAL))
def test_real_series_raise_none(series: pd.Series, kind: str) -> None:
    assert find_doubts(series, kind) == [] and find_doubts(series, "none") == []


@pytest.mark.parametrize("freedom", [3.0, 4.0, 50.0])
def test_values_of_one_law_are_doubted_as_rarely_as_is_said(freedom: float) -> None:
    rng = np.random.default_rng(0)
    times = 200
    alarms = sum(len(too_large(np.abs(rng.standard_t(freedom, 1000)))) > 0 for _ in range(times))
    # The expected number of values beyond the bound is an upper bound on the probability of any.
    assert alarms <= FALSE_ALARM * times + 3.0 * (FALSE_ALARM * times) ** 0.5


def test_coarse_quotes_that_move_alike_by_chance_are_no_filled_gaps() -> None:
    # Of steps of a tick or none, four in ten up and four down: runs of ten are common in 5000.
    rng = np.random.default_rng(0)
    ticks = pd.Series(5000.0 + np.cumsum(rng.choice([-1.0, 0.0, 1.0], 5000, p=[0.4, 0.2, 0.4])))
    assert not any("straight line" in doubt for doubt in find_doubts(ticks, "difference"))
    ticks.iloc[1000:1040] = np.linspace(ticks.iloc[1000], ticks.iloc[1000] + 39.0, 40)
    (found,) = (doubt for doubt in find_doubts(ticks, "difference") if "straight line" in doubt)
    assert re.match(r"From index (99\d|1000) to index 10(39|4\d), (39|4\d|5\d) changes", found)


def test_short_series_have_no_tail_to_compare_with() -> None:
    assert find_doubts(PRICES[:90]) == []


# --- the command line ---


def invoke(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(cli.main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def write(folder: Path, series: pd.Series) -> Path:
    series.rename("Close").rename_axis("Date").to_csv(folder / "series.csv")
    return folder / "series.csv"


def test_file_is_inspected(tmp_path: Path) -> None:
    result = invoke("data", "inspect", write(tmp_path, PRICES.round(2)))
    assert result.exit_code == 0
    said = result.output.splitlines()
    assert said[0] == (
        "series.csv, column Close: 1500 points, 2012-01-02 to 2017-09-29, daily, longest gap 3 days, unit of the file"
    )
    assert said[1] == "The longest gap is from 2012-01-06 to 2012-01-09."
    assert said[3] == f"  2012-01-02  {PRICES.round(2).iloc[0].item()}"
    assert said[8] == f"  2017-09-29  {PRICES.round(2).iloc[-1].item()}"
    assert said[9] == "Note: The series has 1499 points: its statistics are rough, and the paths take them as true."


def test_inspection_says_what_generate_would_refuse(tmp_path: Path) -> None:
    result = invoke("data", "inspect", write(tmp_path, RETURNS))
    assert result.exit_code == 0 and "look like returns already. Use --returns none." in result.output


def test_strict_turns_doubts_into_an_exit_code_and_writes_nothing(tmp_path: Path) -> None:
    file, out = write(tmp_path, changed(1 / 7, slice(AT, None))), tmp_path / "paths.csv"
    # From noise: the law fitted to a return of 20 standard deviations draws such paths, which may come no further.
    asked = ("generate", file, "--paths", "3", "--length", "64", "--start", "noise", "--out", out)
    strict = invoke(*asked, "--strict")
    assert strict.exit_code == 3 and "about 1/7" in strict.output and not out.exists()
    assert invoke("data", "inspect", file, "--strict").exit_code == 3
    lenient = invoke(*asked)
    assert lenient.exit_code == 0 and "Note: The value goes" in lenient.output and out.exists()


def test_notes_on_the_paths_are_doubts_too(tmp_path: Path) -> None:
    short = write(tmp_path, PRICES[:500])
    result = invoke("generate", short, "--paths", "3", "--length", "64", "--out", tmp_path / "paths.csv", "--strict")
    assert result.exit_code == 3 and "The series has 499 points" in result.output
    assert list(tmp_path.iterdir()) == [short]
