"""Downloads from a local server that plays each answer: what is cached and what is refused."""

from __future__ import annotations

import dataclasses
import datetime
import gzip
import hashlib
import http.server
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from mfmgdm_lib import data
from mfmgdm_lib.data import download, publishers
from mfmgdm_lib.errors import NewerFormatError


class Answer(NamedTuple):
    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({})


class Server(http.server.ThreadingHTTPServer):
    """Gives its answers in order, the last one for ever, and keeps the questions."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[Answer] = []
        self.asked: list[str] = []

    def says(self, *answers: Answer | bytes | str) -> None:
        self.asked.clear()
        bodies = [answer.encode() if isinstance(answer, str) else answer for answer in answers]
        self.answers = [answer if isinstance(answer, Answer) else Answer(answer) for answer in bodies]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(answer.status)
        headers = {} if answer.status == 204 else {"Content-Length": str(len(answer.body))}
        for name, value in ({**headers, **answer.headers}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def server(running: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Server:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("MFMGDM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("MFMGDM_DATA_DIR", raising=False)
    monkeypatch.setattr(download, "BACKOFF", 0.001)
    websites = {key: who for key, who in publishers.PUBLISHERS.items() if isinstance(who, publishers.Website)}
    for source, publisher in websites.items():
        base = f"http://127.0.0.1:{running.server_port}/{source}/"
        monkeypatch.setitem(publishers.PUBLISHERS, source, dataclasses.replace(publisher, base=base))
    running.says("nothing to say yet")
    return running


def files() -> list[Path]:
    return sorted(path for path in data.cache.cache_folder().rglob("*") if path.is_file())


# --- bodies, in the shapes in which they come ---

RIKSBANK = '[{"date":"2024-01-02","value":4.01},{"date":"2024-01-03","value":-0.25},{"date":"2024-01-08","value":4}]'
FRED = "observation_date,DGS10\n2024-01-01,\n2024-01-02,3.95\n2024-01-03,3.91\n2024-01-04,.\n2024-01-05,4.05\n"
ECB_HEAD = "KEY,FREQ,REF_AREA,CURRENCY,TIME_PERIOD,OBS_VALUE,OBS_STATUS,TITLE\n"
ECB_KEY = "B.U2.EUR.4F.G_N_A.SV_C_YM.SR_10Y"
ECB = ECB_HEAD + "".join(
    f'YC.{ECB_KEY},B,U2,EUR,{day},{value},A,"Spot rate, 10 years"\n'
    for day, value in [("2024-01-02", 2.123456), ("2024-01-03", 2.0), ("2024-01-04", -0.5)]
)


GOOD = {"riksbank": ("USGVB10Y", RIKSBANK), "fred": ("DGS10", FRED), "ecb": ("SR_10Y", ECB)}
each_source = pytest.mark.parametrize("source", list(GOOD))


@pytest.mark.parametrize(
    ("call", "body", "expected", "dropped", "asked"),
    [
        (
            lambda: data.riksbank("USGVB10Y", "2024-01-01", "2024-01-09"),
            RIKSBANK,
            {"2024-01-02": 4.01, "2024-01-03": -0.25, "2024-01-08": 4.0},
            None,
            "/riksbank/USGVB10Y/2024-01-01/2024-01-09",
        ),
        (
            lambda: data.fred("DGS10", datetime.date(2024, 1, 1), "2024-01-05"),
            FRED,
            {"2024-01-02": 3.95, "2024-01-03": 3.91, "2024-01-05": 4.05},
            2,
            "/fred/?id=DGS10&cosd=2024-01-01&coed=2024-01-05",
        ),
        (
            lambda: data.ecb("SR_10Y", "2024-01-02", "2024-01-04"),
            ECB,
            {"2024-01-02": 2.123456, "2024-01-03": 2.0, "2024-01-04": -0.5},
            None,
            f"/ecb/{ECB_KEY}?startPeriod=2024-01-02&endPeriod=2024-01-04&format=csvdata",
        ),
    ],
    ids=["riksbank", "fred", "ecb"],
)
def test_recorded_shapes_are_read(
    server: Server,
    call: Callable[[], pd.Series],
    body: str,
    expected: dict[str, float],
    dropped: int | None,
    asked: str,
) -> None:
    server.says(body)
    before = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    series = call()
    assert {f"{day:%Y-%m-%d}": value for day, value in series.items()} == expected  # type: ignore[str-bytes-safe]
    assert series.dtype == np.float64 and isinstance(series.index, pd.DatetimeIndex) and series.index.tz is None
    assert server.asked == [asked]
    assert series.attrs.get("dropped") == dropped
    assert series.attrs["url"].endswith(asked)
    assert before <= datetime.datetime.fromisoformat(series.attrs["retrieved"]) <= datetime.datetime.now(datetime.UTC)
    lines = "date,value\n" + "".join(f"{day},{value}\n" for day, value in expected.items())
    assert series.attrs["sha256"] == hashlib.sha256(lines.encode()).hexdigest()
    assert series.attrs["unit"] == "percent per annum"
    assert {"source", "frequency", "longest_gap_days"} <= series.attrs.keys() and "note" not in series.attrs


def test_open_windows_ask_for_all_there_is(server: Server) -> None:
    for source, (identifier, body) in GOOD.items():
        server.says(body)
        data.fetch(source, identifier)
        (asked,) = server.asked
        open_ended = {"riksbank": "USGVB10Y/1900-01-01", "fred": "?id=DGS10", "ecb": f"{ECB_KEY}?format=csvdata"}
        assert asked == f"/{source}/{open_ended[source]}"


@pytest.mark.parametrize("key", ["SR_10Y", ECB_KEY, f"YC.{ECB_KEY}"])
def test_keys_of_the_ecb_have_one_answer(server: Server, key: str) -> None:
    server.says(ECB)
    assert data.ecb(key).name == "SR_10Y"
    assert [path.name[:10] for path in files()] == ["ecb-SR_10Y"]


def test_another_curve_of_the_ecb_is_another_series(server: Server) -> None:
    key = ECB_KEY.replace("G_N_A", "G_N_C")
    server.says(ECB.replace(ECB_KEY, key))
    assert data.ecb(key).name == key
    assert server.asked == [f"/ecb/{key}?format=csvdata"]
    server.says(ECB)
    with pytest.raises(ValueError, match=r"a row of YC\.B\.U2\.EUR\.4F\.G_N_A"):
        data.ecb(key, "2024-01-02")


def test_rows_outside_the_window_are_cut_off(server: Server) -> None:
    server.says(FRED)
    assert data.fred("DGS10", "2024-01-03", "2024-01-05").tolist() == [3.91, 4.05]


def test_window_that_is_not_covered_is_noted(server: Server) -> None:
    server.says(FRED)
    series = data.fred("DGS10", "1990-01-01", "2024-03-01")
    assert series.attrs["note"] == (
        "begins on 2024-01-02, after the start asked for and ends on 2024-01-05, before the end asked for"
    )


# --- answers that are none ---


def problem(server: Server, kind: type[Exception], source: str = "fred", *answers: Answer | str, **window: str) -> str:
    """The message of the error that answers lead to; it says where from and names a mend, and nothing is kept."""
    if answers:
        server.says(*answers)
    with pytest.raises(kind) as info:
        data.fetch(source, GOOD[source][0], **window)  # type: ignore[arg-type]
    assert type(info.value) is kind
    assert not files()
    message = str(info.value)
    assert "; expected " in message and message.endswith(".")
    return message


def test_no_content_names_the_window(server: Server) -> None:
    message = problem(server, ValueError, "riksbank", Answer(status=204), start="2024-01-01", end="2024-01-05")
    assert "/riksbank/USGVB10Y/2024-01-01/2024-01-05 has no data" in message
    assert "riksbank USGVB10Y from 2024-01-01 to 2024-01-05" in message


NOTHING = {"riksbank": "[]", "fred": "observation_date,DGS10\n", "ecb": ""}


@each_source
def test_answer_without_rows_is_refused(server: Server, source: str) -> None:
    assert f"has no data; expected some for {source}" in problem(server, ValueError, source, NOTHING[source])


def test_not_found_says_what_was_answered(server: Server) -> None:
    message = problem(server, ValueError, "fred", Answer(b"No data found", 404))
    assert "/fred/?id=DGS10" in message and "404" in message and "No data found" in message
    assert "Check the identifier" in message
    assert len(server.asked) == 1


def test_not_found_leaves_out_a_web_page(server: Server) -> None:
    assert "<" not in problem(server, ValueError, "fred", Answer(b"<html>lost</html>", 404))


def test_wait_that_the_server_asks_for_is_kept(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    server.says(Answer(b"too many", 429, {"Retry-After": "54"}), Answer(FRED.encode()))
    assert data.fred("DGS10").tolist() == [3.95, 3.91, 4.05]
    assert 54 in waits and len(server.asked) == 2


@pytest.mark.parametrize("wait", ["3600", "Fri, 01 Jan 2100 00:00:00 GMT"], ids=["seconds", "date"])
def test_long_wait_is_an_error_at_once(server: Server, monkeypatch: pytest.MonkeyPatch, wait: str) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    message = problem(server, ConnectionError, "fred", Answer(b"Try later", 429, {"Retry-After": wait}))
    assert not waits and len(server.asked) == 1
    assert f"429 Too Many Requests (Try later), asking to wait for {wait}" in message and "120 s" in message
    assert "MFMGDM_DATA_DIR" in message


def test_waits_count_together(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    problem(server, ConnectionError, "fred", Answer(status=429, headers={"Retry-After": "50"}))
    assert len(server.asked) == 3 and clock[0] == 100.0


def test_passing_failures_are_passed_over(server: Server) -> None:
    server.says(*(Answer(b"oops", status) for status in (500, 503, 429)), Answer(FRED.encode()))
    assert data.fred("DGS10").tolist() == [3.95, 3.91, 4.05]
    assert len(server.asked) == 4


def test_lasting_failure_is_an_error(server: Server) -> None:
    message = problem(server, ConnectionError, "fred", Answer(b"oops", 500))
    assert "answered 500 Internal Server Error (oops)" in message and "5 tries" in message
    assert len(server.asked) == download.TRIES == 5


@pytest.mark.parametrize("status", [401, 403, 418])
def test_other_refusals_are_not_asked_again(server: Server, status: int) -> None:
    assert f"answered {status}" in problem(server, ConnectionError, "fred", Answer(b"no", status))
    assert len(server.asked) == 1


def test_redirection_is_followed(server: Server) -> None:
    server.says(Answer(status=302, headers={"Location": "/elsewhere"}), FRED)
    assert len(data.fred("DGS10")) == 3
    assert server.asked[1] == "/elsewhere"


@pytest.mark.parametrize(
    "answer",
    [
        Answer(
            b"observation_date,DGS10\n2024-01-02,1\n2024-01-03,1\n", headers={"Content-Type": "text/HTML; charset=u"}
        ),
        Answer(b"\n <!doctype html><p>Please wait", headers={"Content-Type": "text/csv"}),
    ],
    ids=["by its type", "by its body"],
)
def test_web_page_is_refused(server: Server, answer: Answer) -> None:
    assert "answered with a web page" in problem(server, ValueError, "fred", answer)


@each_source
def test_truncated_answer_is_refused(server: Server, source: str) -> None:
    body = GOOD[source][1].encode()
    message = problem(server, ConnectionError, source, Answer(body[:-20], headers={"Content-Length": str(len(body))}))
    assert f"/{source}/" in message and "MFMGDM_DATA_DIR" in message


def test_truncated_answer_is_refused_even_if_nothing_below_compares(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    import urllib3.response

    monkeypatch.setattr(urllib3.response.HTTPResponse, "_init_length", lambda *_: None)
    length = str(len(FRED) + 1)
    message = problem(server, ConnectionError, "fred", Answer(FRED.encode(), headers={"Content-Length": length}))
    assert f"broke off after {len(FRED)} bytes; expected {length}" in message


def test_packed_answer_is_unpacked(server: Server) -> None:
    server.says(Answer(gzip.compress(FRED.encode()), headers={"Content-Encoding": "gzip"}))
    assert data.fred("DGS10").tolist() == [3.95, 3.91, 4.05]


def test_large_answer_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "LARGEST", 10)
    assert "more than 10 bytes" in problem(server, ValueError, "fred", FRED)


def test_nobody_there_is_an_error_that_names_the_address(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    fred = publishers.PUBLISHERS["fred"]
    assert isinstance(fred, publishers.Website)
    nobody = dataclasses.replace(fred, base="http://127.0.0.1:9/")
    monkeypatch.setitem(publishers.PUBLISHERS, "fred", nobody)
    message = problem(server, ConnectionError)
    assert "http://127.0.0.1:9/?id=DGS10 could not be read (NewConnectionError" in message and "refused" in message


ODD = {
    "no JSON": ("riksbank", "nonsense"),
    "half JSON": ("riksbank", RIKSBANK[:-5]),
    "other JSON": ("riksbank", '{"message": "hello"}'),
    "a number": ("riksbank", "7"),
    "text for a value": ("riksbank", '[{"date":"2024-01-02","value":"high"}]'),
    "no such date": ("riksbank", '[{"date":"2024-13-02","value":1}]'),
    "date of another form": ("riksbank", '[{"date":"02/01/2024","value":1}]'),
    "another column": ("fred", "observation_date,DGS5\n2024-01-02,1\n"),
    "text in a column": ("fred", FRED.replace("3.91", "abc")),
    "time of day": ("fred", FRED.replace("2024-01-03,", "2024-01-03 10:00,")),
    "no columns": ("fred", "hello\nworld\n"),
    "short row": ("fred", FRED + "2024-01-08\n"),
    "no such column": ("ecb", ECB.replace("OBS_VALUE", "VALUE")),
    "not UTF-8": ("ecb", "\udcff"),
}


@pytest.mark.parametrize(("source", "body"), ODD.values(), ids=list(ODD))
def test_answer_of_another_shape_is_refused(server: Server, source: str, body: str) -> None:
    message = problem(server, ValueError, source, Answer(body.encode(errors="surrogateescape")))
    assert "answered something that cannot be read" in message and f"/{source}/" in message


IMPLAUSIBLE = {
    "null": ("riksbank", RIKSBANK.replace("4.01", "null"), "missing or infinite, the first on 2024-01-02"),
    "NaN": ("riksbank", RIKSBANK.replace("4.01", "NaN"), "missing or infinite"),
    "date twice": ("riksbank", RIKSBANK.replace("-03", "-02"), "has 2024-01-02 more than once"),
    "descending": ("riksbank", json.dumps(json.loads(RIKSBANK)[::-1]), "has 2024-01-03 after 2024-01-08"),
    "rate too high": ("fred", FRED.replace("3.91", "391"), "is 391.0 on 2024-01-03; expected -5 to 30 percent"),
    "rate too low": ("fred", FRED.replace("3.91", "-9999"), "is -9999.0 on 2024-01-03"),
    "future": ("riksbank", RIKSBANK.replace("2024-01-08", "2124-01-08"), "has 2124-01-08, in the future"),
    "one row": ("fred", "observation_date,DGS10\n2024-01-02,1\n", "has 1 rows"),
}


@pytest.mark.parametrize(("source", "body", "said"), IMPLAUSIBLE.values(), ids=list(IMPLAUSIBLE))
def test_implausible_series_is_refused(server: Server, source: str, body: str, said: str) -> None:
    assert said in problem(server, ValueError, source, body)


def test_window_without_rows_says_what_is_covered(server: Server) -> None:
    message = problem(server, ValueError, "fred", FRED, start="2010-01-01", end="2010-02-01")
    assert "has 0 rows from 2010-01-01 to 2010-02-01" in message and "covers 2024-01-02 to 2024-01-05" in message


# --- the cache ---


@each_source
def test_what_was_asked_once_is_answered_without_asking(server: Server, source: str) -> None:
    identifier, body = GOOD[source]
    server.says(body)
    first = data.fetch(source, identifier, "2024-01-02", "2024-07-05")
    server.says(Answer(b"down", 500))
    again = data.fetch(source, identifier, "2024-01-02", "2024-07-05")
    pd.testing.assert_series_equal(again, first, check_exact=True)
    assert again.attrs == first.attrs and not server.asked


def test_values_are_kept_to_the_last_digit(server: Server) -> None:
    values = [0.1 + 0.2, 1 / 3, 1e-17, 5.0]
    rows = [{"date": f"2024-01-0{day}", "value": value} for day, value in enumerate(values, 1)]
    server.says(json.dumps(rows))
    assert data.riksbank("X").tolist() == values == data.riksbank("X").tolist()


def test_each_question_has_a_file_of_its_own(server: Server) -> None:
    for window in [(None, None), ("2024-01-02", None), (None, "2024-01-05"), ("2024-01-02", "2024-01-05")]:
        server.says(FRED)
        data.fetch("fred", "DGS10", *window)
        assert len(server.asked) == 1
    server.says(FRED.replace("DGS10", "dgs10"))
    data.fred("dgs10")
    assert len({path.name.lower() for path in files()}) == 5  # on disks that take dgs10 and DGS10 for one, too


def test_kept_series_is_found_without_its_window(server: Server) -> None:
    with pytest.raises(FileNotFoundError, match=r"no fred DGS10.*Fetch it first"):
        data.kept("fred", "DGS10")
    server.says(FRED)
    series = data.fetch("fred", "DGS10", "2024-01-02")
    again = data.kept("fred", "DGS10")
    pd.testing.assert_series_equal(again, series, check_exact=True)
    assert again.attrs == series.attrs and Path(series.attrs["path"]) == files()[0] and len(server.asked) == 1
    data.fetch("fred", "DGS10")
    with pytest.raises(ValueError, match=r"2 files of fred DGS10.*Name the file"):
        data.kept("fred", "DGS10")


def test_kept_file_can_be_read_as_a_csv_file(server: Server) -> None:
    server.says(FRED)
    series = data.fred("DGS10")
    (path,) = files()
    pd.testing.assert_series_equal(data.read_series(path), series, check_names=False, check_exact=True)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content.replace(b"3.91", b"3.92"),
        lambda content: content.replace(b"percent", b"per ten"),
        lambda content: content[:-10],
        lambda content: b"",
        lambda content: b"\x00" * len(content),
    ],
    ids=["a digit", "a unit", "cut short", "emptied", "zeroed"],
)
def test_damaged_file_is_set_aside_and_asked_for_again(
    server: Server, caplog: pytest.LogCaptureFixture, spoil: Callable[[bytes], bytes]
) -> None:
    server.says(FRED)
    first = data.fred("DGS10")
    (path,) = files()
    path.write_bytes(spoil(path.read_bytes()))
    assert data.verify_cache()["state"].tolist() == ["damaged"]
    server.says(FRED)
    with caplog.at_level(logging.WARNING, logger="mfmgdm_lib"):
        again = data.fred("DGS10")
    assert len(server.asked) == 1 and again.tolist() == first.tolist()
    assert "Set aside a damaged file" in caplog.text
    assert files() == [path, path.with_name(path.name + ".damaged")]
    assert data.verify_cache()["state"].tolist() == ["ok"]


def test_damaged_file_and_no_network_is_an_error(server: Server) -> None:
    server.says(FRED)
    data.fred("DGS10")
    (path,) = files()
    path.write_text("spoilt")
    server.says(Answer(b"down", 500))
    with pytest.raises(ConnectionError, match="answered 500"):
        data.fred("DGS10")


def test_file_under_the_name_of_another_question_counts_as_damaged(server: Server) -> None:
    server.says(FRED)
    data.fred("DGS10")
    (path,) = files()
    data.fred("DGS10", "2024-01-03")
    (other,) = set(files()) - {path}
    other.replace(path)
    assert data.fred("DGS10").tolist() == [3.95, 3.91, 4.05]


def test_file_of_a_newer_version_is_left_alone(server: Server) -> None:
    server.says(FRED)
    data.fred("DGS10")
    (path,) = files()
    rest = path.read_bytes().partition(b"\n")[2].replace(b'"format": 1', b'"format": 2')
    content = b"# sha256: " + hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest
    path.write_bytes(content)
    with pytest.raises(NewerFormatError):
        data.fred("DGS10")
    assert path.read_bytes() == content
    assert data.verify_cache()["state"].tolist() == ["newer"]


def test_refresh_asks_again_and_takes_what_is_new(server: Server) -> None:
    server.says(FRED)
    data.fred("DGS10")
    server.says(FRED + "2024-01-08,4.01\n")
    assert len(data.fred("DGS10")) == 3 and not server.asked
    assert data.fetch("fred", "DGS10", refresh=True).tolist() == [3.95, 3.91, 4.05, 4.01]
    assert len(data.fred("DGS10")) == 4 and len(server.asked) == 1


@pytest.mark.parametrize(
    ("revised", "said"),
    [
        (FRED.replace("3.91", "3.92").replace("4.05", "4.06"), "is 3.92 on 2024-01-03 and 2 values.*expected 3.91"),
        (FRED.replace("2024-01-03,3.91", "2024-01-03,."), "is no value on 2024-01-03.*expected 3.91"),
        (FRED.replace("2024-01-04,.", "2024-01-04,4"), "is 4.0 on 2024-01-04.*expected no value"),
    ],
    ids=["changed", "gone", "come"],
)
def test_revised_values_are_an_error_until_they_are_accepted(server: Server, revised: str, said: str) -> None:
    server.says(FRED)
    first = data.fred("DGS10")
    server.says(revised)
    with pytest.raises(ValueError, match=f'fred DGS10.*{said}.*refresh="accept"'):
        data.fetch("fred", "DGS10", refresh=True)
    assert data.fred("DGS10").tolist() == first.tolist()
    accepted = data.fetch("fred", "DGS10", refresh="accept")
    assert accepted.tolist() != first.tolist() and data.fred("DGS10").tolist() == accepted.tolist()


def test_failed_refresh_keeps_what_was_there(server: Server) -> None:
    server.says(FRED)
    first = data.fred("DGS10")
    server.says(Answer(b"down", 500))
    with pytest.raises(ConnectionError):
        data.fetch("fred", "DGS10", refresh=True)
    assert data.fred("DGS10").tolist() == first.tolist()


def test_cache_that_cannot_be_written_is_an_error_with_a_mend(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MFMGDM_CACHE_DIR", str(tmp_path / "file"))
    server.says(FRED)
    with pytest.raises(OSError, match=r"could not be written.*MFMGDM_CACHE_DIR"):
        data.fred("DGS10")


def test_cache_is_listed(server: Server) -> None:
    assert data.cached().empty
    for source, (identifier, body) in GOOD.items():
        server.says(body)
        data.fetch(source, identifier)
    table = data.cached().set_index("source")
    assert table["id"].to_dict() == {source: identifier for source, (identifier, _) in GOOD.items()}
    fred = data.fred("DGS10")
    row = table.loc["fred"]
    assert row.drop("path").to_dict() == {
        "id": "DGS10",
        "first": "2024-01-02",
        "last": "2024-01-05",
        "rows": 3,
        "retrieved": fred.attrs["retrieved"],
        "sha256": fred.attrs["sha256"],
    }
    assert Path(row["path"]) in files()
    checked = data.verify_cache()
    assert list(checked.columns) == [*data.cached().columns, "state"] and set(checked["state"]) == {"ok"}


def test_listing_a_damaged_file_changes_nothing(server: Server) -> None:
    server.says(FRED)
    data.fred("DGS10")
    (path,) = files()
    path.write_text("spoilt")
    assert data.cached().iloc[0].to_dict() == dict.fromkeys(data.cached().columns, "") | {"rows": 0, "path": str(path)}
    assert path.read_text() == "spoilt"


def test_cache_is_in_the_users_folder_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MFMGDM_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = data.cache.cache_folder()
    assert folder.name == "data" and "mfmgdm" in folder.parts[-2]


# --- files in place of downloads ---


@pytest.mark.parametrize(
    ("source", "identifier", "name"),
    [
        ("fred", "DGS10", "fred/DGS10.csv"),
        ("fred", "DGS10", "DGS10.csv"),
        ("fred", "DGS5", "rates/usd_5y.csv"),
        ("fred", "DGS10", "rates/usd_10y.csv"),
        ("ecb", "SR_5Y", "rates/eur_5y.csv"),
        ("ecb", ECB_KEY, "rates/eur_10y.csv"),
        ("riksbank", "USGVB10Y", "riksbank/USGVB10Y.csv"),
        ("yahoo", "^GSPC", "sp500.csv"),
    ],
)
def test_folder_of_files_is_read_in_place_of_a_download(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str, identifier: str, name: str
) -> None:
    path = tmp_path / "mine" / name
    path.parent.mkdir(parents=True)
    path.write_text("date,value\n2024-01-02,3\n2024-01-03,4\n2024-01-04,5\n")
    monkeypatch.setenv("MFMGDM_DATA_DIR", str(tmp_path / "mine"))
    series = data.fetch(source, identifier, "2024-01-03")
    assert series.tolist() == [4.0, 5.0] and series.attrs["source"].startswith(f"{name} in MFMGDM_DATA_DIR, for")
    assert series.attrs["unit"] == publishers.PUBLISHERS[source].meaning(identifier)[0]
    assert not server.asked and not files()


def test_names_are_tried_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MFMGDM_DATA_DIR", str(tmp_path))
    for value, name in enumerate(["rates/usd_10y.csv", "DGS10.csv", "fred/DGS10.csv"]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"date,value\n2024-01-02,{value}\n2024-01-03,{value}\n")
        assert data.fred("DGS10").tolist() == [value, value]


@pytest.mark.parametrize("folder", ["there", "nowhere"])
def test_missing_local_file_is_not_downloaded(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: str
) -> None:
    (tmp_path / "there").mkdir()
    monkeypatch.setenv("MFMGDM_DATA_DIR", str(tmp_path / folder))
    with pytest.raises(FileNotFoundError, match=r"none of fred/DGS10\.csv, DGS10\.csv, rates/usd_10y\.csv; expected"):
        data.fred("DGS10")
    with pytest.raises(FileNotFoundError, match=r"none of riksbank/USGVB10Y\.csv, USGVB10Y\.csv; expected"):
        data.riksbank("USGVB10Y")
    assert not server.asked


def test_local_file_is_checked_like_a_download(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MFMGDM_DATA_DIR", str(tmp_path))
    (tmp_path / "DGS10.csv").write_text("date,value\n2024-01-02,3.95\n2024-01-03,391\n")
    with pytest.raises(ValueError, match=r"fred DGS10 is 391\.0 on 2024-01-03"):
        data.fred("DGS10")


# --- questions that cannot be asked ---


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("bloomberg", "X"), "source is 'bloomberg'; expected one of 'yahoo', 'riksbank', 'fred', 'ecb'"),
        (("fred", ""), "identifier is ''"),
        (("fred", "../secret"), "identifier is '../secret'"),
        (("fred", "DGS10&id=X/"), "identifier is"),
        (("fred", 10), "identifier is 10"),
        (("fred", "DGS10", "03/04/2020"), "start is '03/04/2020'; expected a date such as '2003-01-01'"),
        (("fred", "DGS10", 2003), "start is 2003; expected a date"),
        (("fred", "DGS10", pd.NaT), "start is NaT; expected a date"),
        (("fred", "DGS10", "2024-01-03", "2024-01-02"), "start '2024-01-03' is after end '2024-01-02'"),
    ],
)
def test_question_that_cannot_be_asked(server: Server, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        data.fetch(*arguments)
    assert not server.asked


def test_refresh_has_three_values(server: Server) -> None:
    with pytest.raises(ValueError, match="refresh is 'yes'; expected False, True"):
        data.fetch("fred", "DGS10", refresh="yes")
