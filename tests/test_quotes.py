"""Daily prices by yfinance, which gets recorded answers of Yahoo in place of a network."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yfinance
from yfinance.data import YfData
from yfinance.exceptions import YFRateLimitError

from mfmgdm_lib import data

Asked = list[dict[str, Any]]


class Response:
    status_code = 200

    def __init__(self, text: str) -> None:
        self.text = text

    def json(self) -> Any:
        return json.loads(self.text)


def chart(closes: dict[str, Any], zone: str = "America/New_York", hour: str = "09:30", **meta: Any) -> str:
    days = [pd.Timestamp(f"{day} {hour}", tz=zone) for day in closes]
    prices = list(closes.values())
    about = {"symbol": "^GSPC", "exchangeTimezoneName": zone, "gmtoffset": -14400, "currency": "USD"}
    quote = dict.fromkeys(("open", "high", "low"), prices) | {"close": [1.0] * len(days), "volume": [0] * len(days)}
    result = {
        "meta": about | {"instrumentType": "INDEX", "validRanges": ["1d", "max"]} | meta,
        "timestamp": [int(day.timestamp()) for day in days],
        "indicators": {"quote": [quote], "adjclose": [{"adjclose": prices}]},
    }
    return json.dumps({"chart": {"result": [result], "error": None}})


PRICES = {"2024-01-02": 4742.830078125, "2024-01-03": None, "2024-01-04": 4688.68017578125, "2024-07-05": 5567.0}
Says = Callable[[str | Exception], Asked]


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Says:
    monkeypatch.setenv("MFMGDM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("MFMGDM_DATA_DIR", raising=False)
    monkeypatch.setattr(yfinance.Ticker, "_get_ticker_tz", lambda *_args, **_named: "America/New_York")

    def say(answer: str | Exception) -> Asked:
        asked: Asked = []

        def get(_self: YfData, url: str, params: Any = None, timeout: float = 30) -> Response:
            asked.append({"url": url, **params})
            if isinstance(answer, Exception):
                raise answer
            return Response(answer)

        monkeypatch.setattr(YfData, "get", get)
        return asked

    return say


def test_recorded_chart_is_read_to_the_last_day_asked_for(says: Says) -> None:
    asked = says(chart(PRICES))
    series = data.yahoo("^GSPC", "2024-01-02", "2024-07-05")
    assert {f"{day:%Y-%m-%d}": price for day, price in series.items()} == {  # type: ignore[str-bytes-safe]
        day: price for day, price in PRICES.items() if price is not None
    }
    assert isinstance(series.index, pd.DatetimeIndex) and series.index.tz is None and series.dtype == "float64"
    assert series.attrs["dropped"] == 1 and series.attrs["url"].endswith("/quote/%5EGSPC")
    ends = [pd.Timestamp(day, tz="America/New_York").timestamp() for day in ("2024-01-02", "2024-07-06")]
    assert [asked[0]["period1"], asked[0]["period2"]] == ends and asked[0]["interval"] == "1d"


@pytest.mark.parametrize("start", [None, "2024-01-02"])
@pytest.mark.parametrize("end", [None, "2024-07-05"])
def test_open_windows_ask_for_all_there_is(says: Says, start: str | None, end: str | None) -> None:
    asked = says(chart(PRICES))
    assert len(data.yahoo("^GSPC", start, end)) == 3
    years = (asked[0]["period2"] - asked[0]["period1"]) / 86400 / 365
    assert (years > 98) == (start is None)


@pytest.mark.parametrize(
    ("zone", "hour"), [("America/New_York", "09:30"), ("Asia/Tokyo", "09:00"), ("Europe/London", "00:00")]
)
def test_dates_are_those_of_the_exchange(says: Says, zone: str, hour: str) -> None:
    says(chart({"2024-01-15": 10.0, "2024-07-15": 11.0}, zone, hour))
    assert [str(day.date()) for day in data.yahoo("^GSPC").index] == ["2024-01-15", "2024-07-15"]


def test_day_that_is_not_over_is_left_out(says: Says) -> None:
    now = pd.Timestamp.now(tz="America/New_York").normalize()
    days = [f"{now - pd.Timedelta(days=back):%Y-%m-%d}" for back in (3, 2, 0)]
    says(chart(dict.fromkeys(days, 10.0)))
    assert [f"{day:%Y-%m-%d}" for day in data.yahoo("^GSPC").index] == days[:2]


def test_what_was_asked_once_is_kept_and_a_refresh_asks_again(says: Says) -> None:
    asked = says(chart(PRICES))
    first = data.yahoo("^GSPC", "2024-01-02", "2024-07-05")
    pd.testing.assert_series_equal(data.yahoo("^GSPC", "2024-01-02", "2024-07-05"), first, check_exact=True)
    assert len(asked) == 1
    # The same window, which yfinance would answer out of its memory.
    data.fetch("yahoo", "^GSPC", "2024-01-02", "2024-07-05", refresh=True)
    assert len(asked) == 2


NOT_FOUND = '{"chart":{"result":null,"error":{"code":"Not Found","description":"No data found"}}}'
EMPTY = json.dumps({"chart": {"result": [{"meta": {}, "indicators": {"quote": [{}]}}], "error": None}})


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (YFRateLimitError(), ConnectionError, "Too Many Requests.*Wait some minutes.*CSV file.*MFMGDM_DATA_DIR"),
        ("Will be right back", ConnectionError, "CURRENTLY DOWN"),
        (TimeoutError("slow"), ConnectionError, "TimeoutError: slow.*Try again later.*MFMGDM_DATA_DIR"),
        (NOT_FOUND, ValueError, r"\^?GSPC has no prices \(No data found.*Check the identifier"),
        (EMPTY, ValueError, "has no prices.*Check the identifier and the window"),
        ('{"chart":null}', ValueError, "has no prices"),
        ("<html>", ValueError, "cannot be read.*expected daily prices"),
        (
            chart(PRICES, instrumentType=None).replace('"adjclose": [{', '"adjclose": [{}, {'),
            ValueError,
            "cannot be read",
        ),
        (chart(PRICES).replace("5567.0", "0"), ValueError, "is 0.0 on 2024-07-05; expected a price above 0"),
        (chart(PRICES).replace("5567.0", "9400"), ValueError, "to 9400.0 on 2024-07-05; expected less than a factor"),
        (chart(PRICES).replace("5567.0", "Infinity"), ValueError, "missing or infinite"),
    ],
)
def test_answer_that_is_none_is_an_error_with_a_mend(
    says: Says, tmp_path: Path, answer: str | Exception, kind: type[Exception], said: str
) -> None:
    says(answer)
    with pytest.raises(kind, match=said) as info:
        data.yahoo("^GSPC")
    assert type(info.value) is kind and "; expected " in str(info.value)
    assert not list(tmp_path.rglob("*.csv"))
    assert yfinance.config.debug.hide_exceptions is True


def test_home_that_cannot_be_written_to_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    script = "import mfmgdm_lib.data, sys; assert 'yfinance' not in sys.modules; import yfinance.cache as c;" + (
        "k = c.get_tz_cache(); k.store('A', 'UTC'); print(k.lookup('A'), c.get_cookie_cache().lookup('x'))"
    )
    environment = {"XDG_CACHE_HOME": str(tmp_path / "file" / "below"), "HOME": str(tmp_path / "file"), "PATH": ""}
    environment["PYTHONPATH"] = str(Path(data.__file__).parents[2])
    run = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert run.stdout == "None None\n", run.stderr
