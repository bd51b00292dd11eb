"""Data of the explorer against the experiments they come from, and the files that draw them."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mfmgdm_lib.companion import AR_ILLUSTRATION, MarketExperiment, ar_explorer_data, market_explorer_data
from mfmgdm_lib.companion.explorer import CLOUD_STEPS, unpacked
from mfmgdm_lib.companion.notebooks import embed
from mfmgdm_lib.plotting import COLOURS
from mfmgdm_lib.statistics import autocorrelation

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "book" / "_static"
PAPER = {1: (36, "2.76"), 128: (157, "0.09")}  # Table 1 and Sections 3.1 and 4


@pytest.fixture(scope="module")
def paper_data() -> dict[str, Any]:
    """The two models of the paper's figures, at few steps."""
    return ar_explorer_data(sizes=tuple(PAPER), cloud_steps=(0, 16, 24, 157), path_steps=(0, 157))


@pytest.fixture(scope="module")
def market_data() -> dict[str, Any]:
    return market_explorer_data(MarketExperiment(n_paths=16, n_steps=200))


@pytest.mark.parametrize("size", PAPER)
def test_the_explorer_has_the_papers_divergences(paper_data: dict[str, Any], size: int) -> None:
    trace = paper_data["traces"][paper_data["sizes"].index(size)]
    step, least = PAPER[size]
    assert trace["best_step"] == step
    assert f"{trace['reverse_kl'][step]:.2f}" == least
    assert {len(values) for values in trace.values() if isinstance(values, list)} == {201}
    gap = np.array(trace["negative_entropy"]) - np.array(trace["log_likelihood"])
    np.testing.assert_allclose(gap, trace["reverse_kl"], atol=1.5e-3)  # three values rounded to 0.001


def test_clouds_are_the_energies_of_the_same_paths(paper_data: dict[str, Any]) -> None:
    steps = paper_data["cloud_steps"]
    for which, size in enumerate(paper_data["sizes"]):
        exact = AR_ILLUSTRATION.clouds(size, tuple(steps), n_paths=128)
        for axis, name in enumerate(["lag1", "lag0"]):
            packed = paper_data[name]
            half_a_unit = 0.5 * (packed["high"] - packed["low"]) / (2**16 - 1)
            kept = unpacked(packed)[which]
            for place, step in enumerate(steps):
                np.testing.assert_allclose(kept[place], exact[step][:, axis].numpy(), atol=1.01 * half_a_unit)


@pytest.mark.parametrize("first", [0, 40])  # where steps of 4 and of 8 begin, and paths are fastest
def test_energies_between_two_kept_steps_are_close_to_interpolated_ones(first: int) -> None:
    place = CLOUD_STEPS.index(first)
    last = CLOUD_STEPS[place + 1]
    middle = (first + last) // 2
    exact = AR_ILLUSTRATION.clouds(1, (first, middle, last), n_paths=128)
    error = (exact[middle] - 0.5 * (exact[first] + exact[last])).abs().max(0).values
    # A chart is some 300 px wide and shows a range of 0.3 and 0.25: less than a pixel.
    assert (error < torch.tensor([0.3, 0.25]) / 300).all()


def test_paths_are_those_of_the_descent(paper_data: dict[str, Any]) -> None:
    x0 = AR_ILLUSTRATION.start.sample(128, 1024, AR_ILLUSTRATION.initial_seed)
    kept = unpacked(paper_data["paths"])
    assert kept.shape == (2, 2, 3, 150)
    packed = paper_data["paths"]
    half_a_unit = 0.5 * (packed["high"] - packed["low"]) / (2**8 - 1)
    np.testing.assert_allclose(kept[0, 0], x0[:3, :150].numpy(), atol=1.01 * half_a_unit)
    np.testing.assert_array_equal(kept[0, 0], kept[1, 0])


def test_the_true_law_is_where_the_target_is(paper_data: dict[str, Any]) -> None:
    true = paper_data["true"]
    assert unpacked(true["energies"]).shape == (2, 128)
    standard_error = np.sqrt(np.diag(true["covariance"]) / 4096)
    np.testing.assert_array_less(abs(np.array(true["mean"]) - paper_data["target"]), 4 * standard_error + 1e-4)


def test_unpacking_gives_back_what_was_packed() -> None:
    packed = {"shape": [2, 2], "bits": 16, "low": -1.0, "high": 1.0, "values": "AAD//wCAAAA="}  # 0, 65535, 32768, 0
    np.testing.assert_allclose(unpacked(packed), [[-1.0, 1.0], [1 / 65535, -1.0]], atol=1e-12)


def test_market_statistics_are_those_of_the_series_and_of_the_start(market_data: dict[str, Any]) -> None:
    experiment = MarketExperiment(n_paths=16, n_steps=200)
    series = market_data["series"]
    np.testing.assert_allclose(series["squares"], autocorrelation(experiment.series**2).numpy(), atol=5.01e-4)
    np.testing.assert_allclose(unpacked(series["path"]), experiment.series[-504:].numpy(), atol=0.05)
    start = market_data["models"]["MGDM"]["states"][0]
    quantiles = np.quantile(autocorrelation(experiment.starting_paths()).numpy(), [0.05, 0.5, 0.95], axis=0)
    np.testing.assert_allclose(start["acf"], quantiles, atol=5.01e-4)


def test_each_market_model_has_a_state_for_each_step(market_data: dict[str, Any]) -> None:
    assert list(market_data["models"]) == ["MGDM", "MF–MGDM", "generate"]
    bins = len(market_data["edges"]) - 1
    for model in market_data["models"].values():
        assert model["steps"][0] == 0 and model["steps"][-1] == 200
        assert len(model["steps"]) == len(model["states"]) == model["paths"]["shape"][0]
        assert all(np.shape(state["acf"]) == np.shape(state["squares"]) == (3, 20) for state in model["states"])
        assert {len(state["marginal"]) for state in model["states"]} == {bins}
        assert model["states"][-1]["loss"] < model["states"][0]["loss"]


def test_both_models_start_from_the_same_noise_and_generate_from_clusters(market_data: dict[str, Any]) -> None:
    first = {name: model["states"][0] for name, model in market_data["models"].items()}
    assert first["MGDM"]["acf"] == first["MF–MGDM"]["acf"]
    assert np.mean(first["generate"]["squares"][1]) > 0.1 > np.mean(first["MGDM"]["squares"][1])


def test_data_fit_into_a_page() -> None:
    page = ROOT / "notebooks" / "02_explorer.ipynb"
    outputs = [
        text
        for cell in json.loads(page.read_text(encoding="utf-8"))["cells"]
        for output in cell.get("outputs", [])
        if 'class="explorer"' in (text := "".join(output.get("data", {}).get("text/html", "")))
    ]
    assert len(outputs) == 2, "run `make notebooks`"
    assert sum(len(text.encode()) for text in outputs) < 500_000
    found = [
        re.fullmatch(r'<div class="explorer" id="([\w-]+)"><script type="application/json">(.*)</script></div>', text)
        for text in outputs
    ]
    for match in found:
        assert match is not None
        json.loads(match[2])


def test_embedded_data_cannot_end_their_element(capsys: pytest.CaptureFixture[str]) -> None:
    shell = pytest.importorskip("IPython.core.interactiveshell").InteractiveShell.instance()
    shown: list[dict[str, str]] = []
    shell.display_pub.publish = lambda data, **_: shown.append(data)
    try:
        embed("here", {"text": "</script><b>"})
    finally:
        shell.clear_instance()
    (data,) = shown
    assert data["text/html"].count("</script>") == 1
    inner = data["text/html"].partition('json">')[2].partition("</script>")[0]
    assert json.loads(inner) == {"text": "</script><b>"}


def test_vendored_scripts_are_those_of_the_manifest() -> None:
    folder = STATIC / "vendor"
    listed = dict(line.split()[::-1] for line in (folder / "manifest.sha256").read_text().splitlines())
    assert listed.keys() == {path.name for path in folder.iterdir()} - {"README.md", "manifest.sha256"}
    for name, checksum in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == checksum
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in readme for name in listed)


def test_the_page_loads_scripts_that_are_there() -> None:
    text = (ROOT / "book" / "_ext" / "explorer_page.py").read_text(encoding="utf-8")
    named = re.findall(r'"([\w./-]+\.(?:js|css))"', text)
    assert len(named) == 3
    assert all((STATIC / name).is_file() for name in named)
    assert (ROOT / f"{re.search(r'PAGE = .(.*).$', text, re.M)[1]}.md").is_file()  # type: ignore[index]


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2."""
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize(("theme", "background"), [("light", "#ffffff"), ("dark", "#121212")])
def test_colours_are_those_of_the_figures_and_have_contrast(theme: str, background: str) -> None:
    style = (STATIC / "explorer.css").read_text(encoding="utf-8")
    line = re.search(rf'html\[data-theme="{theme}"\] {{ (--ex-true.*) }}', style)
    assert line is not None
    colours = dict(re.findall(r"--ex-(\w+): (#\w{6});", line[1]))
    assert colours.keys() == {"true", "start", "mgdm", "mf"}
    if theme == "light":
        assert (colours["mgdm"], colours["mf"]) == (COLOURS["MGDM"], COLOURS["MF–MGDM"])
    for colour in colours.values():
        light, dark = sorted([luminance(colour), luminance(background)], reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3.0
