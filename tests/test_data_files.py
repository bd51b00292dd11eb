"""CSV files: what is read, and what is refused with the line and a correction."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mfmgdm_lib import data

# Downloaded series, which may lie beside the repository.
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "series.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_values_and_dates_are_those_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "date,value\n2024-01-02,3.95\n2024-01-03,-0.1\n2024-01-08,1e-3\n")
    series = data.read_series(path)
    expected = pd.Series(
        [3.95, -0.1, 0.001], index=pd.DatetimeIndex(["2024-01-02", "2024-01-03", "2024-01-08"], name="date")
    )
    pd.testing.assert_series_equal(series, expected.rename("value"), check_freq=False)
    assert series.dtype == np.float64
    assert series.attrs == {
        "source": "series.csv, column value",
        "unit": "unit of the file",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "frequency": "irregular",  # a median of three days
        "longest_gap_days": 5,
    }


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfdate,value\n2024-01-02,1\n2024-01-03,2\n",
        b"date,value\r\n2024-01-02,1\r\n2024-01-03,2\r\n",
        b"date,value\r2024-01-02,1\r2024-01-03,2",
        b'"date","value"\n"2024-01-02","1"\n"2024-01-03","2"\n',
        b"date , value\n2024-01-02, 1\n\n2024-01-03, 2\n\n",
        b'# said "so": {"a", 1}\n#\n\ndate,value\n2024-01-02,1\n2024-01-03,2\n',
        b"date,value,status\n2024-01-02,1,A\n2024-01-03,2,\n",
        b"date,status,value\n2024-01-02,A,1\n2024-01-03,B,2\n",
        b"date,value\n2024-01-03,2\n2024-01-02,1\n",
    ],
    ids=["mark", "CRLF", "CR", "quotes", "blanks", "comments", "text after", "text between", "descending"],
)
def test_spellings_of_the_same_series(tmp_path: Path, content: bytes) -> None:
    series = data.read_series(write(tmp_path, content))
    assert series.to_dict() == {pd.Timestamp("2024-01-02"): 1.0, pd.Timestamp("2024-01-03"): 2.0}
    assert list(series.index) == sorted(series.index) and series.name == "value"


def test_columns_may_be_named(tmp_path: Path) -> None:
    path = write(tmp_path, "row,when,open,close\n0,2024-01-02,1,3\n1,2024-01-03,2,4\n")
    series = data.read_series(path, "when", "close")
    assert series.tolist() == [3.0, 4.0] and series.name == "close"
    assert series.attrs["source"] == "series.csv, column close"


def test_mark_of_the_encoding_is_no_part_of_a_name(tmp_path: Path) -> None:
    path = write(tmp_path, b"\xef\xbb\xbfdate,value\n2024-01-02,1\n2024-01-03,2\n")
    assert data.read_series(path, "date").tolist() == [1.0, 2.0]


def test_descending_dates_are_turned_round_and_that_is_said(tmp_path: Path) -> None:
    ascending = data.read_series(write(tmp_path, "date,value\n2024-01-02,1\n2024-01-03,2\n"))
    assert "note" not in ascending.attrs
    descending = data.read_series(write(tmp_path, "date,value\n2024-01-03,2\n2024-01-02,1\n"))
    assert "descending" in descending.attrs["note"]
    assert descending.attrs["longest_gap_days"] == 1


@pytest.mark.parametrize(
    ("dates", "frequency", "longest"),
    [
        (pd.bdate_range("2024-01-01", periods=10), "daily", 3),
        (pd.date_range("2024-01-01", periods=10), "daily", 1),
        (pd.date_range("2024-01-05", periods=10, freq="7D"), "weekly", 7),
        (pd.date_range("2024-01-31", periods=12, freq="ME"), "monthly", 31),
        (pd.date_range("2024-01-31", periods=8, freq="QE"), "irregular", 92),
        (pd.date_range("2024-01-01 09:00", periods=5, freq="30min"), "intraday", 0.021),
        (pd.DatetimeIndex(["2024-01-02"]), "irregular", 0),
    ],
    ids=["trading days", "all days", "weekly", "monthly", "quarterly", "half-hourly", "one row"],
)
def test_frequency_is_said_in_words(tmp_path: Path, dates: pd.DatetimeIndex, frequency: str, longest: float) -> None:
    path = tmp_path / "series.csv"
    pd.Series(1.5, index=dates, name="value").rename_axis("date").to_csv(path)
    series = data.read_series(path)
    assert list(series.index) == list(dates)
    assert (series.attrs["frequency"], series.attrs["longest_gap_days"]) == (frequency, longest)


HEAD = "date,value\n2024-01-01,1.0\n"
BAD = {
    "empty": ("", "is empty"),
    "blank lines": ("\n \n", "is empty"),
    "comments only": ("# nothing\n", "comments only"),
    "no rows": ("date,value\n", "no rows"),
    "no header": (
        "2024-01-01,1\n2024-01-02,2\n",
        "begins with the date 2024-01-01 in line 1.*header=False",
    ),
    "semicolons": ("date;value\n2024-01-01;1,5\n", "by ';'; expected two columns or more.*separator=';'"),
    "one column": ("value\n1\n2\n", "has one column, 'value'"),
    "Latin 1": ("date,Börse\n2024-01-01,1\n".encode("latin-1"), "line 1 has the byte 0xf6; expected UTF-8"),
    "Latin 1 below": (HEAD.encode() + b"2024-01-02,\xa31\n", "line 3 has the byte 0xa3; expected UTF-8"),
    "UTF-16": (HEAD.encode("utf-16"), "expected UTF-8"),
    "quotation mark": (HEAD + '2024-01-02,"1\n', "expected cells separated by ','"),
    "missing cell": (HEAD + "2024-01-02\n", "line 3 has 1 cells; expected 2"),
    "unquoted thousands": (HEAD + "2024-01-02,1,234.50\n", "line 3 has 3 cells; expected 2.*quotation marks"),
    "thousands": (HEAD + '2024-01-02,"1,234.50"\n', "line 3 has '1,234.50'.*Use thousands=','"),
    "thousands by blanks": (HEAD + "2024-01-02,1 234 567\n", "line 3.*Use thousands=' '"),
    "decimal comma": (HEAD + '2024-01-02,"1,5"\n', "line 3 has '1,5'.*Use decimal=','"),
    "after a break": ('date,value,note\n2024-01-01,1,"a\nb"\n2024-01-02,x,c\n', "line 4 has 'x'"),
    "short after a break": ('date,value,note\n2024-01-01,1,"a\nb"\n2024-01-02,1\n', "line 4 has 2 cells; expected 3"),
    "NUL": (HEAD + "2024-01-02,1\x002\n", "line 3 has 1 NUL bytes"),
    "text after a quotation": (HEAD + '2024-01-02,"1"2\n', "cannot be split"),
    "text": (HEAD + "2024-01-02,closed\n", "line 3 has 'closed'; expected a finite number"),
    "per cent": (HEAD + "2024-01-02,3.9%\n", "line 3 has '3.9%'"),
    "underscore": (HEAD + "2024-01-02,1_0\n", "line 3 has '1_0'"),
    "infinite": (HEAD + "2024-01-02,inf\n", "line 3 has 'inf'; expected a finite number"),
    "overflow": (HEAD + "2024-01-02,1e999\n", "line 3 has '1e999'; expected a finite number"),
    "empty values": (
        HEAD + "2024-01-02,\n2024-01-03,2\n2024-01-04,\n",
        r'value on 2 lines \(3, 5\).*missing="drop"',
    ),
    "marked values": (HEAD + "2024-01-02,.\n2024-01-03,NaN\n2024-01-04,n/a\n", r"no value on 3 lines \(3, 4, 5\)"),
    "many empty": (HEAD + "".join(f"2024-02-0{d},\n" for d in range(1, 8)), r"7 lines \(3, 4, 5, 6, 7, …\)"),
    "no date": (HEAD + ",2\n", "line 3 has the date ''; expected a date such as 2024-03-01"),
    "text date": (HEAD + "tomorrow,2\n", "line 3 has the date 'tomorrow'; expected a date such as"),
    "no such day": (HEAD + "2024-02-30,2\n", "line 3 has the date '2024-02-30'.*day is out of range"),
    "ambiguous": (
        HEAD + "03/04/2020,2\n",
        "line 3 has the date '03/04/2020'.*swapped.*date_format='%d/%m/%Y'",
    ),
    "ambiguous, dots": (HEAD + "3.4.20,2\n", "line 3 has the date '3.4.20'.*date_format='%d/%m/%y'"),
    "zone": (HEAD + "2024-01-02T10:00:00+01:00,2\n", "line 3.*expected a time without zone"),
    "zone Z": (HEAD + "2024-01-02T10:00:00Z,2\n", "line 3.*expected a time without zone"),
    "antiquity": (HEAD + "1066-10-14,2\n", "line 3.*expected a year from 1678 to 2261"),
    "twice": (HEAD + "2024-01-02,1\n2024-01-01,2\n", "line 4 has the date of line 2, 2024-01-01.*Delete one"),
    "twice, descending": ("date,value\n2024-01-02,1\n2024-01-02,2\n2024-01-01,2\n", "line 3 has the date of line 2"),
    "unordered": (HEAD + "2024-01-03,1\n2024-01-02,1\n", "line 4 has 2024-01-02.*after 2024-01-03.*Sort the lines"),
    "lines of comments": ("# a\n# b\n" + HEAD + "2024-01-02,x\n", "line 5 has 'x'"),
    "two values": ("date,a,b\n2024-01-01,1,2\n", "2 columns of numbers.*of 'date', 'a', 'b'.*value_column"),
    "two values, one spoilt": ("date,a,b\n2024-01-01,x,2\n2024-01-02,1,2\n", "has 2 columns of numbers"),
    "two values, one grouped": ('date,a,b\n2024-01-01,"1,234",2\n', "has 2 columns of numbers"),
    "two texts": ("date,a,b\n2024-01-01,x,y\n", "has 0 columns of numbers beside 'date', of 'date', 'a', 'b'"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=list(BAD))
def test_bad_file_is_refused_with_the_reason(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(ValueError, match=f"(?s)series.csv.*{message}") as info:
        data.read_series(path)
    assert "; expected " in str(info.value) and str(info.value).endswith(".")


@pytest.mark.parametrize("wanted", [("day", None), (None, "price")], ids=["date", "value"])
def test_missing_column_is_refused_with_those_that_are_there(
    tmp_path: Path, wanted: tuple[str | None, str | None]
) -> None:
    with pytest.raises(ValueError, match=r"has 0 columns named '(day|price)'; expected one, of 'date', 'value'"):
        data.read_series(write(tmp_path, HEAD), *wanted)


def test_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has 2 columns named 'value'"):
        data.read_series(write(tmp_path, "date,value,value\n2024-01-01,1,2\n"), value_column="value")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.csv"):
        data.read_series(tmp_path / "nowhere.csv")


@pytest.mark.skipif(not SHARED.is_dir(), reason="no downloaded series beside the repository")
@pytest.mark.parametrize(
    ("source", "identifier", "name", "kind", "rows"),
    [
        ("fred", "DGS5", "rates/usd_5y.csv", "difference", 16058),
        ("fred", "DGS10", "rates/usd_10y.csv", "difference", 16058),
        ("ecb", "SR_5Y", "rates/eur_5y.csv", "difference", 5440),
        ("ecb", "SR_10Y", "rates/eur_10y.csv", "difference", 5440),
        ("yahoo", "^GSPC", "sp500.csv", "log", 6063),
    ],
)
def test_published_series_pass_the_checks(
    source: str, identifier: str, name: str, kind: str, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MFMGDM_DATA_DIR", str(SHARED))
    series = data.fetch(source, identifier)
    assert len(series) == rows and series.attrs["frequency"] == "daily" and series.attrs["longest_gap_days"] <= 8
    assert series.attrs["source"] == f"{name} in MFMGDM_DATA_DIR, for {source} {identifier}"
    np.testing.assert_array_equal(series, data.read_series(SHARED / name))
    scaled = data.standardize(data.returns(series, kind))
    assert float(scaled.to_numpy().std()) == pytest.approx(1.0, abs=1e-12)


def test_date_centuries_off_is_named(tmp_path: Path) -> None:
    path = tmp_path / "far.csv"
    path.write_text("date,value\n2261-01-02,1.5\n2261-01-03,1.25\n1678-01-04,1.75\n")
    with pytest.raises(
        ValueError, match=r"far\.csv, line 4 has 1678-01-04 after 2261-01-03; expected dates that ascend"
    ):
        data.read_series(path)
