"""Kinds of files that people have: each is read to the last digit, or refused with a mend that exists."""

from __future__ import annotations

import gzip
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from mfmgdm_lib import cli, data

DAYS = pd.bdate_range("2024-01-02", periods=30)
VALUES = (1100.0 + np.random.default_rng(0).standard_normal(30).cumsum()).round(2)
EXPECTED = pd.Series(VALUES, DAYS)
HOURS = pd.date_range("2024-11-02 12:00", periods=30, freq="h", tz="America/New_York")  # the clock changes on the 3rd


def lines(names: str, *columns: Any, separator: str = ",") -> str:
    rows = [separator.join(map(str, cells)) for cells in zip(*columns, strict=True)]
    return "\n".join([*([names] if names else []), *rows]) + "\n"


def dated(date_format: str) -> str:
    return lines("Date,Close", DAYS.strftime(date_format), VALUES)


def quoted(texts: Any) -> list[str]:
    return [f'"{text}"' for text in texts]


def packed(frame: pd.DataFrame, write: str, **options: Any) -> bytes:
    whole = io.BytesIO()
    getattr(frame, write)(whole, **options)
    return whole.getvalue()


def yfinance(*tickers: str) -> str:
    columns = pd.MultiIndex.from_product([["Close", "Open"], tickers], names=["Price", "Ticker"])
    frame = pd.DataFrame({name: VALUES * (1 + i) for i, name in enumerate(columns)}, DAYS.rename("Date"))
    frame.columns = columns
    return frame.to_csv()


FRAME = pd.DataFrame({"Close": VALUES}, DAYS.rename("Date"))
PLAIN = dated("%Y-%m-%d")
COMMAS = [f"{value:,.2f}" for value in VALUES]
EPOCH = (DAYS - pd.Timestamp("1970-01-01")) // pd.Timedelta(seconds=1)
HOLED = PLAIN + "2024-02-20,{}\n"
NAIVE = lines("Date,Close", HOURS.strftime("%Y-%m-%d %H:%M"), VALUES)
LONG = lines("Date,Symbol,Close", np.repeat(DAYS, 2).strftime("%Y-%m-%d"), ["AAA", "BBB"] * 30, VALUES.repeat(2))
TIMES = lines("Date,Time,Close", HOURS[:10].strftime("%Y-%m-%d"), HOURS[:10].strftime("%H:%M"), VALUES[:10])
NUMBERED = lines(",Date,Close", range(30), DAYS.strftime("%Y-%m-%d"), VALUES)

# Text or bytes, and the arguments with which the thirty values come out of it, at their dates.
READ: dict[str, tuple[str | bytes, dict[str, Any]]] = {
    "YYYYMMDD": (dated("%Y%m%d"), {}),
    "YYYY/MM/DD": (dated("%Y/%m/%d"), {}),
    "YYYY.MM.DD": (dated("%Y.%m.%d"), {}),
    "nanoseconds": (dated("%Y-%m-%d 00:00:00.000000000"), {}),
    "day first, by a day above 12": (dated("%d.%m.%Y"), {}),
    "month first, by a day above 12": (dated("%m/%d/%Y"), {}),
    "month first, as told": (dated("%m/%d/%Y"), {"date_format": "%m/%d/%Y"}),
    "words": (dated("%d %b %Y"), {}),
    "words in quotation marks": (lines("Date,Close", quoted(DAYS.strftime("%B %d, %Y")), VALUES), {}),
    "weekdays": (lines("Date,Close", quoted(DAYS.strftime("%a, %d %b %Y 00:00:00")), VALUES), {}),
    "years of two digits": (dated("%d-%b-%y"), {"date_format": "%d-%b-%y"}),
    "seconds": (lines("Date,Close", EPOCH, VALUES), {"date_format": "epoch-s"}),
    "milliseconds without names": (
        lines("", EPOCH * 1000, VALUES, VALUES),
        {"date_format": "epoch-ms", "header": False, "value_column": "2"},
    ),
    "days of Excel": (lines("Date,Close", (DAYS - pd.Timestamp("1899-12-30")).days, VALUES), {"date_format": "excel"}),
    "semicolons": (
        PLAIN.replace(",", ";").replace(".", ","),
        {"separator": ";", "decimal": ","},
    ),
    "cp1252": (PLAIN.replace("Close", "Värde").encode("cp1252"), {"encoding": "cp1252"}),
    "UTF-16 and tabs": (PLAIN.replace(",", "\t").encode("utf-16"), {"encoding": "utf-16", "separator": "\t"}),
    "thousands": (lines("Date,Close", DAYS.strftime("%Y-%m-%d"), quoted(COMMAS)), {"thousands": ","}),
    "thousands by blanks": (PLAIN.replace(",1", ",1\u202f"), {"thousands": " "}),
    "dollars": (PLAIN.replace(",1", ",$1"), {}),
    "minus of typesetters": (PLAIN.replace(",1", ",\u22121"), {}),
    "missing": (HOLED.format("null"), {"missing": "drop"}),
    "missing by a number": (HOLED.format("-99.990"), {"missing": "drop", "na_values": [-99.99]}),
    "gzip": (gzip.compress(PLAIN.encode()), {}),
    "Parquet": (packed(FRAME, "to_parquet"), {}),
    "Parquet of other types": (packed(FRAME.reset_index().convert_dtypes(), "to_parquet"), {}),
    "Excel": (packed(FRAME, "to_excel", startrow=2), {"skip_rows": 2}),
    "rows of names": (yfinance("AAA"), {"value_column": "Close"}),
    "rows of names, two tickers": (yfinance("AAA", "BBB"), {"value_column": "Close/AAA"}),
    "index of pandas": (NUMBERED, {"date_column": "Date"}),
    "long format": (LONG, {"where": {"Symbol": "AAA"}}),
    "heading": ("Security,XYZ\nPeriod,D\n\n" + PLAIN, {"skip_rows": 3}),
    "footer": (PLAIN + '\n"Copyright, the authors"\n', {"skip_footer": 1}),
    "NUL bytes": (PLAIN + "\0" * 100, {"skip_footer": 1}),
    "empty last cells": (
        PLAIN.replace("\n", ",\n").replace("Close,", "Close"),
        {"skip_rows": 1, "header": False, "value_column": "2"},
    ),
    "months": (lines("Date,Close", pd.date_range("2020-01", periods=30, freq="MS").strftime("%Y-%m"), VALUES), {}),
    "offsets": (lines("Date,Close", HOURS.astype(str), VALUES), {"zone": "America/New_York"}),
    "a clock that changes": (NAIVE, {"zone": "America/New_York"}),
    "times beside dates": (TIMES, {"time_column": "Time"}),
}
DATES = {
    "months": pd.date_range("2020-01", periods=30, freq="MS"),
    "offsets": HOURS,
    "a clock that changes": HOURS,
    "times beside dates": HOURS[:10].tz_localize(None),
}


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "series.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def spelled(options: dict[str, Any]) -> list[str]:
    """Arguments of Python as options of the command line."""
    names = {"date_column": "date", "value_column": "column", "time_column": "time"}
    found = []
    for name, value in options.items():
        if name == "header":
            found.append("--no-header")
        elif name == "where":
            found += [f"--where={column}={text}" for column, text in value.items()]
        elif name == "na_values":
            found += [f"--na-value={text}" for text in value]
        else:
            found.append(f"--{names.get(name, name).replace('_', '-')}={value}")
    return found


def inspect(path: Path, *options: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli.main, ["data", "inspect", str(path), *options])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@pytest.mark.parametrize("kind", READ)
def test_file_is_read_to_the_last_digit(tmp_path: Path, kind: str) -> None:
    content, options = READ[kind]
    path = write(tmp_path, content)
    series = data.read_series(path, **options)
    dates = DATES.get(kind, DAYS)
    pd.testing.assert_index_equal(series.index, dates, check_names=False, exact="equiv")
    sign = -1.0 if kind == "minus of typesetters" else 1.0
    np.testing.assert_array_equal(series.to_numpy(), sign * VALUES[: len(dates)])
    assert series.attrs["unit"] == ("$" if kind == "dollars" else "unit of the file")
    assert ("dropped" in series.attrs) == ("missing" in options)
    code, said = inspect(path, *spelled(options), "--returns=difference")
    assert code == 0 and f"{len(dates)} points" in said


# What is refused: the message in Python, and that of the command line.
REFUSED: dict[str, tuple[str | bytes, str, str]] = {
    "seconds": (READ["seconds"][0], "may be a count of seconds.*date_format='epoch-s'", "--date-format epoch-s"),
    "milliseconds": (READ["milliseconds without names"][0], "begins with the number.*header=False", "--no-header"),
    "days of Excel": (READ["days of Excel"][0], "a day as Excel counts.*date_format='excel'", "--date-format excel"),
    "two readings": (lines("Date,Close", ["03/04/2024", "04/04/2024"], [1, 2]), "date_format='%d/%m/%Y'", "%m/%d/%Y"),
    "both readings": (
        lines("Date,Close", ["13/04/2024", "04/13/2024"], [1, 2]),
        "line 3.*date_format",
        "--date-format",
    ),
    "years of two digits": (dated("%d-%b-%y"), "a year of four digits.*date_format='%d-%b-%y'", "'%d-%b-%y'"),
    "six digits": (lines("Date,Close", ["202401", "202402"], [1, 2]), "a month or a day.*date_format", "'%Y%m'"),
    "semicolons": (READ["semicolons"][0], "separates its columns by ';'.*separator=';'", "--separator ';'"),
    "tabs": (PLAIN.replace(",", "\t"), r"separator='\\t'", "--separator tab"),
    "cp1252": (READ["cp1252"][0], "byte 0xe4.*encoding='cp1252'", "--encoding cp1252"),
    "UTF-16": (READ["UTF-16 and tabs"][0], "byte 0xff.*encoding='utf-16'", "--encoding utf-16"),
    "thousands": (READ["thousands"][0], "thousands=','", "--thousands ','"),
    "missing": (HOLED.format("null"), r"no value on 1 lines \(32\).*missing=\"drop\"", "--missing drop"),
    "rows of names": (yfinance("AAA", "BBB"), "4 columns of numbers.*'Close/AAA'.*value_column", "--column"),
    "dollars and volumes": (
        lines("Date,Close/Last,Volume", DAYS.strftime("%Y-%m-%d"), [f"${v}" for v in VALUES], range(30)),
        "2 columns of numbers.*'Close/Last', 'Volume'",
        "--column",
    ),
    "crowns and volumes": (
        lines("Date,Close,Volume", DAYS.strftime("%Y-%m-%d"), [f"{v} kr" for v in VALUES], range(30)),
        "2 columns of numbers",
        "--column",
    ),
    "shares in per cent": (
        lines("Date,Change,Close", DAYS.strftime("%Y-%m-%d"), ["0.12%"] * 30, VALUES),
        "2 columns of numbers",
        "--column",
    ),
    "index of pandas": (NUMBERED, "not the count of the rows.*date_column='Date'", "--date 'Date'"),
    "long format": (LONG, "several series below each other, 2 by.*where={'Symbol': 'AAA'}", "--where Symbol=AAA"),
    "long format, one series after the other": (
        lines("Date,Id,Close", [*DAYS.strftime("%Y-%m-%d")] * 2, np.repeat([10001, 10002], 30), np.tile(VALUES, 2)),
        "several series below each other, 2 by.*where={'Id': '10001'}",
        "--where Id=10001",
    ),
    "two tables": (
        PLAIN + "\nAnnual\n" + PLAIN,
        "a line of text, after which 31 more come, 'Annual'.*skip_footer=32",
        "--skip-footer 32",
    ),
    "times beside dates": (TIMES, "times of day are in a column.*time_column='Time'", "--time 'Time'"),
    "a clock that changes": (NAIVE, "change of clocks.*zone='America/New_York'", "--zone America/New_York"),
    "offsets": (READ["offsets"][0], "expected a time without zone.*zone", "--zone"),
    "footer": (READ["footer"][0], "last line of text, 'Copyright, the authors'.*skip_footer=1", "--skip-footer 1"),
    "footer as wide as the rest": (PLAIN + "Source,somebody\n", "'Source'.*footer.*skip_footer=1", "--skip-footer 1"),
    "line of text": ("All rights reserved\n\n" + PLAIN, "a line of text, 'All.*skip_rows=2", "--skip-rows 2"),
    "heading": (
        READ["heading"][0],
        "dates from the first line on, which begin in line 5.*skip_rows=3",
        "--skip-rows 3",
    ),
    "NUL bytes": (PLAIN + "\0" * 100, "line 32 has 100 NUL bytes.*skip_footer=1", "--skip-footer 1"),
    "empty last cells": (
        READ["empty last cells"][0],
        "3 cells; expected 2.*an empty cell.*header=False",
        "--no-header",
    ),
    "repeated last line": (PLAIN + PLAIN.splitlines()[-1], "repeats a date, with the same value", "--skip-footer 1"),
    "web page": ("<!DOCTYPE html>\n<html></html>", "is a web page", "web page"),
    "zip": (b"PK\x03\x04" + b"\0" * 50, "is a zip archive", "zip archive"),
    "half of a gzip": (gzip.compress(PLAIN.encode())[:-20], "cannot be unpacked", "unpacked"),
    "half of a Parquet": (READ["Parquet"][0][:-20], "cannot be read.*Parquet", "Parquet"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_file_is_refused_with_its_reason_and_a_mend(tmp_path: Path, kind: str) -> None:
    content, message, option = REFUSED[kind]
    path = write(tmp_path, content)
    with pytest.raises(ValueError, match=f"(?s){message}") as info:
        data.read_series(path, value_column="Close" if "series" in message else None)
    assert "; expected " in str(info.value) and not str(info.value).endswith(" ")
    code, said = inspect(path, *(["--column=Close"] if "series" in message else []))
    assert code == 2 and option in " ".join(said.split())
    known = CliRunner().invoke(cli.main, ["data", "inspect", "--help"]).output
    assert set(re.findall(r"--[a-z-]+", said)) <= set(re.findall(r"--[a-z-]+", known))


def test_sheet_is_named_where_there_are_several(tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    with pd.ExcelWriter(path) as book:
        FRAME.to_excel(book, sheet_name="prices")
        FRAME.mul(2.0).to_excel(book, sheet_name="twice")
    with pytest.raises(ValueError, match=r"has the sheets 'prices', 'twice'; expected one\. Name one as sheet"):
        data.read_series(path)
    with pytest.raises(ValueError, match="expected one that is called 'three'"):
        data.read_series(path, sheet="three")
    np.testing.assert_array_equal(data.read_series(path, sheet="twice"), 2.0 * VALUES)


def test_excel_without_its_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    path = write(tmp_path, READ["Excel"][0])
    with pytest.raises(ImportError, match=r"pip install 'mfmgdm-lib\[excel\]'"):
        data.read_series(path)
    assert inspect(path)[0] == 2


@pytest.mark.parametrize("decimal", [".", ","])
def test_numbers_of_typed_files_do_not_depend_on_marks(tmp_path: Path, decimal: str) -> None:
    path = write(tmp_path, packed(pd.DataFrame({"d": DAYS, "v": VALUES + 0.123}), "to_parquet"))
    options = {"decimal": ",", "thousands": "."} if decimal == "," else {}
    np.testing.assert_array_equal(data.read_series(path, **options), VALUES + 0.123)


def test_every_number_is_the_one_that_python_reads(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**63, 500).view(np.float64)
    texts = [repr(float(value)) for value in bits[np.isfinite(bits)]]
    texts += [
        "5e-324",
        "2.2250738585072011e-308",
        "1" * 40,
        "0.1" + "0" * 60 + "1",
        "9007199254740993",
        "-0.0",
        "+1.",
        ".5",
    ]
    dates = pd.date_range("1990-01-01", periods=len(texts)).strftime("%Y-%m-%d")
    series = data.read_series(write(tmp_path, lines("d,v", dates, texts)))
    np.testing.assert_array_equal(series.to_numpy().view(np.int64), np.array([float(t) for t in texts]).view(np.int64))


@pytest.mark.parametrize("blank", ["", "\n"], ids=["at once", "row by row"])
def test_long_files_are_read_the_same_on_both_ways(tmp_path: Path, blank: str) -> None:
    n = 10_000  # more than a batch
    dates = pd.date_range("2000-01-01", periods=n, freq="min").astype(str)
    values = np.random.default_rng(0).standard_normal(n)
    text = lines("d,v", dates, [repr(float(value)) for value in values]) + blank + "x,1\n" * bool(blank)
    series = data.read_series(write(tmp_path, text), skip_footer=bool(blank))
    np.testing.assert_array_equal(series, values)
    assert (series.index == pd.DatetimeIndex(dates)).all()
    with pytest.raises(ValueError, match=f"line {n + 3 if blank else n + 2} has"):
        data.read_series(write(tmp_path, text if blank else text + "x,1\n"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"missing": "keep"}, "missing is 'keep'"),
        ({"decimal": ";"}, "decimal is ';'"),
        ({"thousands": "."}, "thousands is '.' and decimal '.'"),
        ({"separator": "ab"}, "separator is 'ab'"),
        ({"date_format": "iso"}, "date_format is 'iso'; expected .*epoch-s"),
        ({"zone": "Mars/Olympus"}, "zone is 'Mars/Olympus'"),
        ({"encoding": "latin-99"}, "encoding is 'latin-99'"),
        ({"skip_rows": -1}, "skip_rows is -1"),
        ({"where": {"Date": "x"}}, "no row with 'x' in 'Date'"),
    ],
)
def test_options_out_of_range_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        data.read_series(write(tmp_path, PLAIN), **options)


def test_spring_has_an_hour_that_no_clock_shows(tmp_path: Path) -> None:
    path = write(tmp_path, lines("Date,Close", ["2024-03-10 01:30", "2024-03-10 02:30"], [1, 2]))
    with pytest.raises(ValueError, match="do not fit a clock in America/New_York"):
        data.read_series(path, zone="America/New_York")


@pytest.mark.parametrize(
    ("source", "identifier", "unit"),
    [
        ("fred", "DEXUSEU", "unit of the publisher"),
        ("fred", "VIXCLS", "unit of the publisher"),
        ("fred", "DGS10", "percent per annum"),
        ("fred", "T10Y2Y", "percent per annum"),
        ("riksbank", "SEKUSDPMI", "unit of the publisher"),
        ("riksbank", "SEGVB10YC", "percent per annum"),
        ("ecb", "BETA0", "unit of the publisher"),
        ("ecb", "SR_10Y", "percent per annum"),
    ],
)
def test_unit_and_kind_go_by_the_series(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, identifier: str, unit: str
) -> None:
    value = 3.0 if unit.startswith("percent") else 82.69  # which is no rate
    text = f"observation_date,{identifier}\n2024-01-01,.\n2024-01-02,{value}\n2024-01-03,{value}\n"
    (tmp_path / f"{identifier}.csv").write_text(text)
    monkeypatch.setenv("MFMGDM_DATA_DIR", str(tmp_path))
    series = data.fetch(source, identifier)
    assert series.tolist() == [value, value]
    assert series.attrs["unit"] == unit and series.attrs["dropped"] == 1


def test_folder_reads_the_bytes_of_a_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "KEY,FREQ,TIME_PERIOD,OBS_VALUE,DECIMALS\nYC.SR_10Y,B,2024-01-02,2.5,6\nYC.SR_10Y,B,2024-01-03,2.6,6\n"
    (tmp_path / "SR_10Y.csv").write_text(text)
    monkeypatch.setenv("MFMGDM_DATA_DIR", str(tmp_path))
    assert data.fetch("ecb", "SR_10Y").tolist() == [2.5, 2.6]


def test_folder_reads_the_table_of_yfinance_and_says_who_can_read_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MFMGDM_DATA_DIR", str(tmp_path))
    (tmp_path / "AAA.csv").write_text(yfinance("AAA"))
    np.testing.assert_array_equal(data.fetch("yahoo", "AAA"), VALUES)
    (tmp_path / "BBB.csv").write_text(PLAIN.replace(",", ";"))
    result = CliRunner().invoke(cli.main, ["data", "fetch", "yahoo", "BBB"])
    assert result.exit_code == 2 and "--" not in result.output
    assert "Use separator=';'. The file can be read by read_series" in " ".join(result.output.split())
