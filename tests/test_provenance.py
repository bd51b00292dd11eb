"""What every file that a command writes says of itself: version, command, date, seed, source, checksums, threads."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

import mfmgdm_lib as mm
from mfmgdm_lib import cli
from mfmgdm_lib._provenance import now

GRAVEL = Path(mm.__file__).parent / "companion" / "textures" / "gravel.png"
DATE = "2023-11-14T22:13:20+00:00"  # 1700000000 seconds after 1970


def invoke(*arguments: object) -> Result:
    result = CliRunner().invoke(cli.main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture(autouse=True)
def fixed_date(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The date of the files, and the folder that commands are run in."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    monkeypatch.chdir(tmp_path)


def series(path: Path) -> str:
    """Write a series of 600 prices, and return its checksum."""
    steps = 0.01 * np.random.default_rng(0).standard_normal(600)
    dates = pd.date_range("2015-01-02", periods=600, freq="B", name="date")
    pd.Series(100 * np.exp(np.cumsum(steps)), dates, name="Close").round(4).to_csv(path)
    return checksum(path)


def checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _of_npz(path: Path) -> dict[str, Any]:
    with np.load(path) as arrays:
        if "about" in arrays:
            return dict(json.loads(str(arrays["about"])))
        return {name: arrays[name].tolist() for name in arrays.files}


def _of_csv(path: Path) -> dict[str, Any]:
    lines = [line[2:] for line in path.read_text().splitlines() if line.startswith("# ")]
    return {name: json.loads(value) for name, _, value in (line.partition(": ") for line in lines)}


def _of_svg(path: Path) -> dict[str, Any]:
    import xml.etree.ElementTree as ET

    (found,) = ET.parse(path).getroot().iter("{http://purl.org/dc/elements/1.1/}description")
    return dict(json.loads(str(found.text)))


def _of_pdf(path: Path) -> dict[str, Any]:
    (found,) = re.findall(rb"/Subject \((.*?)(?<!\\)\)", path.read_bytes(), re.DOTALL)
    assert b"/CreationDate (D:20231114221320" in path.read_bytes()
    return dict(json.loads(re.sub(rb"\\([()])", rb"\1", found.replace(b"\\\n", b"")).replace(b"\\\\", b"\\")))


def _of_png(path: Path) -> dict[str, Any]:
    with Image.open(path) as picture:
        return dict(json.loads(picture.info["Description"]))


READERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    ".npz": _of_npz,
    ".csv": _of_csv,
    ".svg": _of_svg,
    ".pdf": _of_pdf,
    ".parquet": lambda path: dict(pd.read_parquet(path).attrs),
    ".png": _of_png,
    ".npy": lambda path: dict(json.loads(path.with_name(f"{path.name}.json").read_text())),
}


def told(name: str, command: str, seed: str = "7") -> dict[str, Any]:
    """What a file in the folder says, when that is what any has to say."""
    found = READERS[Path(name).suffix](Path(name))
    assert found["version"] == mm.__version__ and found["command"] == f"mfmgdm {command}", name
    assert found["date"] == DATE and found["seed"] == seed, name
    assert found["threads"] in (torch.get_num_threads(), [torch.get_num_threads()]), name
    return found


FEW = "--paths 20 --length 64 --seed 7"


def test_files_of_generate_and_of_sample_say_what_made_them() -> None:
    given = series(Path("p.csv"))
    outputs = ("paths.npz", "risk.csv", "report.svg", "flow.npz")
    options = " ".join(f"{o} {f}" for o, f in zip(("--out", "--risk", "--plot", "--flow"), outputs, strict=True))
    command = f"generate p.csv {FEW} --start noise --energy 'StylizedFacts(lags=3)' {options}"
    assert invoke(*shlex.split(command)).exit_code == 0
    kinds = []
    for name in outputs:
        found = told(name, command)
        assert found["sha256"] == given and found["source"] == "p.csv, column Close", name
        kinds.append(found.get("kind"))
    assert kinds == ["generated paths", "risk", "report", "frozen flow"]
    for name in ("drawn.npz", "drawn.parquet"):
        command = f"sample flow.npz --paths 3 --seed 7 --out {name}"
        assert invoke(*command.split()).exit_code == 0
        found = told(name, command)
        assert found["flow_sha256"] == checksum(Path("flow.npz"))
        assert found["sha256"] == given and found["source"] == "p.csv, column Close", name


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_tables_of_paths_and_figures_in_other_formats_say_it_too(suffix: str) -> None:
    given = series(Path("p.csv"))
    figure = f"report{'.pdf' if suffix == '.csv' else '.png'}"
    command = f"generate p.csv {FEW} --start noise --out paths{suffix} --plot {figure}"
    assert invoke(*command.split()).exit_code == 0
    assert told(f"paths{suffix}", command)["sha256"] == told(figure, command)["sha256"] == given


def test_files_of_fields_say_what_made_them() -> None:
    command = f"generate {GRAVEL} --paths 1 --shape 32x32 --seed 7 --out f.npy --tiles t.png --plot r.png"
    assert invoke(*command.split()).exit_code == 0
    for name in ("f.npy", "t.png", "r.png"):
        found = told(name, command)
        assert found["sha256"] == checksum(GRAVEL) and found["source"] == "gravel.png"
    assert np.load("f.npy").shape == (1, 32, 32)


@pytest.mark.parametrize(
    ("command", "drawn"),
    [
        (f"generate ../p.csv {FEW} --start noise", slice(None)),
        ("forecast ../p.csv --base garch-n --horizon 3 --paths 20 --seed 7", ["50 %"]),
    ],
)
def test_same_command_makes_the_same_file_and_another_seed_another(
    command: str, drawn: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series(Path("p.csv"))
    for name in ("first", "second", "other"):
        Path(name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        typed = command.replace("--seed 7", "--seed 8") if name == "other" else command
        assert invoke(*typed.split(), "--out", "a.csv").exit_code == 0
        monkeypatch.chdir(tmp_path)
    first, second, other = (Path(name, "a.csv") for name in ("first", "second", "other"))
    assert first.read_bytes() == second.read_bytes()
    values = [pd.read_csv(file, comment="#", index_col=0).loc[:, drawn] for file in (first, other)]
    assert (values[0] != values[1]).all(axis=None)


def test_what_is_beside_an_npy_file_is_kept_without_force() -> None:
    Path("f.npy.json").write_text("mine")
    refused = invoke("generate", GRAVEL, "--paths", "1", "--shape", "32x32", "--out", "f.npy")
    assert refused.exit_code == 2 and "f.npy.json is there already" in refused.output
    assert Path("f.npy.json").read_text() == "mine" and not Path("f.npy").exists()


def test_files_of_forecast_say_what_made_them() -> None:
    given = series(Path("p.csv"))
    outputs = "--out f.csv --paths-out p.npz --plot f.svg --backtest b.csv --backtest-plot b.svg"
    command = f"forecast p.csv --base garch-n --horizon 3 --paths 20 --seed 7 --backtest-days 60 {outputs}"
    assert (result := invoke(*command.split())).exit_code == 0, result.output
    for name in ("f.csv", "p.npz", "f.svg", "b.csv", "b.svg"):
        assert told(name, command)["sha256"] == given, name


def test_files_of_descend_say_what_made_them() -> None:
    command = "descend --process ar01 --paths 8 --length 64 --step-size 1 --steps 3 --seed 7 --out d"
    assert invoke(*command.split()).exit_code == 0
    for name in ("d/trace.csv", "d/paths-0-of-1.npz"):
        settings = told(name, command, seed="(7,)")["settings"]
        settings = json.loads(settings) if isinstance(settings, str) else settings
        assert settings["process"] == "ar01" and settings["n_steps"] == 3 and settings["target_seed"] == [3, 12345]


def test_names_that_are_no_text_or_have_ends_of_lines_are_kept() -> None:
    odd = "a\x1b[31m\n\udcffé.csv"
    series(Path(odd))
    for out, plot in (("o.csv", "o.svg"), ("o.npz", "o.png")):
        command = ["generate", odd, "--start", "noise", "--paths", "5", "--length", "64", "--out", out, "--plot", plot]
        assert invoke(*command).exit_code == 0
        for name in (out, plot):
            found = READERS[Path(name).suffix](Path(name))
            assert found["source"] == f"{odd}, column Close" and f"'{odd}'" in found["command"], name


def test_nothing_made_outside_a_command_names_one_and_the_date_is_that_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    assert invoke("generate", "nothing.csv", "--out", "a.csv").exit_code == 2
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    before = now()
    mm.io.save_paths(mm.generate(mm.processes.AR([0.5]).sample(1, 400, seed=0)[0], 2, 64, start="noise"), "a.csv")
    found = _of_csv(Path("a.csv"))
    assert "command" not in found and found["date"].endswith("+00:00")
    assert before.isoformat() <= found["date"] <= now().isoformat()


@pytest.mark.parametrize("wrong", ["yesterday", "1e9", "9" * 30])
def test_date_that_is_none_is_refused_before_the_work(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    series(Path("p.csv"))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", wrong)
    monkeypatch.setattr("mfmgdm_lib.generation.generate", lambda *_, **__: pytest.fail("the work has begun"))
    result = invoke("generate", "p.csv", "--out", "a.csv")
    assert result.exit_code == 2 and f"SOURCE_DATE_EPOCH is '{wrong}'" in result.output, result.output
    assert "expected whole seconds since 1970" in result.output and not Path("a.csv").exists()
