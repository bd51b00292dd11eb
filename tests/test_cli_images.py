"""The command `mfmgdm generate` with a picture: output, files and errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from mfmgdm_lib import cli
from mfmgdm_lib.cli import options
from mfmgdm_lib.data.images import CHANNELS, IMAGE_SUFFIXES
from mfmgdm_lib.io.fields import FIELD_SUFFIXES


def invoke(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(cli.main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def picture(colours: bool = False) -> Image.Image:
    """Smoothed noise, 64 × 96."""
    noise = np.random.default_rng(0).standard_normal((64, 96))
    smooth = 128 + 60 * (noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1))
    grey = smooth.clip(0, 255).astype(np.uint8)
    return Image.fromarray(np.stack([grey, grey // 2, 255 - grey], -1) if colours else grey)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    picture().save(path)
    return path


def test_options_are_those_of_the_library() -> None:
    assert (options.CHANNELS, options.IMAGE_SUFFIXES, options.FIELD_SUFFIXES) == (
        CHANNELS,
        IMAGE_SUFFIXES,
        FIELD_SUFFIXES,
    )


def test_fields_tiles_and_figure_are_made_and_compared(file: Path, tmp_path: Path) -> None:
    out, plot, tiles = (tmp_path / name for name in ("fields.npz", "report.png", "tiles.png"))
    wanted = ("--paths", "2", "--shape", "32x32", "--seed", "3")
    result = invoke("generate", file, *wanted, "--out", out, "--plot", plot, "--tiles", tiles)
    assert result.exit_code == 0, result.output
    with np.load(out) as arrays:
        assert arrays["fields"].shape == (2, 32, 32) and str(arrays["seed"]) == "3"
        assert np.array_equal(np.asarray(Image.open(tiles))[:, :32], arrays["fields"][0].clip(0, 255).round())
    assert plot.read_bytes().startswith(b"\x89PNG")
    for said in ("picture.png: 64 × 96 pixels, grey", "local patterns", "2 fields of 32 × 32"):
        assert said in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--out", "f.csv"), "expected '.npz' or '.npy'"),
        (("--out", "f.npz", "--length", "128"), "--length is given for"),
        (("--out", "f.npz", "--column", "Close"), "--column is given for"),
        (("--out", "f.npz", "--shape", "big"), "expected height and width, as 128x128"),
        (("--out", "f.npz", "--shape", "128x128"), "Use a smaller --shape"),
        (("--out", "f.npz", "--shape", "32x96"), "are 2 patches of 32 × 96; expected at least 4"),
        (("--out", "f.npz", "--shape", "32", "--hold-out"), "or leave --hold-out out"),
        (("--out", "f.npz", "--shape", "16"), "Use such as --shape 32x32"),
        (("--out", "f.npz", "--grey", "--channel", "red"), "expected one of the two"),
        (("--out", "f.npz", "--channel", "red"), "Leave --channel out"),
        (("--out", "f.npz", "--tiles", "f.jpg"), "expected '.png'"),
        (("--out", "f.npz", "--shape", "32", "--plot", "picture.png", "--force"), "the picture itself"),
    ],
)
def test_what_does_not_go_together_is_refused_before_any_work(
    file: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(file.parent)
    result = invoke("generate", file, *arguments)
    assert result.exit_code == 2 and said in result.output, result.output
    assert [path.name for path in file.parent.iterdir()] == ["picture.png"]


def test_colours_are_refused_with_the_option_that_mends_it(tmp_path: Path) -> None:
    file = tmp_path / "colours.PNG"
    picture(colours=True).save(file)
    result = invoke("generate", file, "--shape", "32", "--out", tmp_path / "fields.npz")
    assert result.exit_code == 2 and "Use --grey, or --channel red, green or blue." in result.output
    blue = invoke("generate", file, "--channel", "blue", "--shape", "16", "--out", tmp_path / "fields.npz")
    assert "--shape 32x32" in blue.output  # the channel was taken


def test_options_for_pictures_are_refused_with_a_series(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("date,Close\n2024-01-02,1\n")
    result = invoke("generate", tmp_path / "prices.csv", "--grey", "--out", tmp_path / "paths.csv")
    assert result.exit_code == 2 and "--grey is given for" in result.output and "for a picture" in result.output


def test_strict_writes_nothing_where_there_are_doubts(file: Path, tmp_path: Path) -> None:
    result = invoke("generate", file, "--paths", "2", "--shape", "32", "--strict", "--out", tmp_path / "fields.npz")
    assert (result.exit_code == 3) == ("Note:" in result.output)
    assert (tmp_path / "fields.npz").exists() == (result.exit_code == 0)
