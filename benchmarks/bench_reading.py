"""Reading a file of a million rows: time against pandas' own reader, and memory."""

from __future__ import annotations

import resource
import time

import numpy as np
import pandas as pd

import mfmgdm_lib as mm

ROWS = 1_000_000


def test_million_rows(tmp_path):
    """Ratio to `pandas.read_csv` with dates, which checks nothing; in one run."""
    path = tmp_path / "prices.csv"
    dates = pd.date_range("2000-01-01", periods=ROWS, freq="min", name="date")
    prices = 100.0 * np.exp(np.random.default_rng(0).normal(0.0, 1e-4, ROWS).cumsum())
    pd.DataFrame({"Close": prices}, index=dates).to_csv(path)
    began = time.perf_counter()
    pandas_s = pd.read_csv(path, index_col="date", parse_dates=True, float_precision="round_trip")["Close"]
    plain = time.perf_counter() - began
    began = time.perf_counter()
    series = mm.data.read_series(path)
    seconds = time.perf_counter() - began
    assert np.array_equal(series.to_numpy(), pandas_s.to_numpy())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"\n{ROWS} rows: {seconds:.1f} s, {seconds / plain:.1f} times pandas' {plain:.1f} s; peak {peak:.2f} GB, both"
    )
