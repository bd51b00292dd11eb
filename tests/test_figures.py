"""Every figure draws without a warning, says what its axes are, and leaves matplotlib as it was."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import Tensor

from mfmgdm_lib import figures
from mfmgdm_lib.divergence import DivergenceTrace

MODELS = ("MGDM", "MF–MGDM")


def draws(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def a_trace(members: int = 1) -> DivergenceTrace:
    """A divergence that falls from 20 to 2 nats at step 6 of 10 and rises again."""
    log_q = 2.0 + 0.5 * (np.arange(11)[:, None] - 6.0) ** 2 + 0.1 * draws(11, 8).numpy()
    return DivergenceTrace(log_q, np.zeros((11, 8)), np.ones(11), np.ones((11, 2)), draws(8, 16), members, "dense")


FIGURES: dict[str, Callable[[], Figure]] = {
    "energy_clouds": lambda: figures.energy_clouds(
        {name: {"true": draws(50, 2), "start": draws(50, 2), name: draws(50, 2)} for name in MODELS}, torch.ones(2)
    ),
    "energy_moves": lambda: figures.energy_moves(
        {name: (draws(9, 2), draws(9, 2, seed=1)) for name in MODELS}, torch.ones(2)
    ),
    "divergence": lambda: figures.divergence({name: a_trace() for name in MODELS}),
    "ensemble_sizes": lambda: figures.ensemble_sizes({size: a_trace(size) for size in (1, 2, 4)}),
    "overshoot": lambda: figures.overshoot(
        {"N = 2": np.linspace(0.0, 1.0, 30), "N = 4": np.linspace(0.0, 0.5, 40)}, slopes={"N = 2": 0.03, "N = 4": 0.01}
    ),
    "sample_paths": lambda: figures.sample_paths({"true": draws(2, 60), "MGDM": draws(3, 60)}),
    "violins": lambda: figures.violins({name: draws(12, 80) for name in MODELS}, draws(200)),
    "marginals": lambda: figures.marginals({name: draws(12, 80) for name in MODELS}, draws(200)),
    "loss_curves": lambda: figures.loss_curves({name: [1.0, 0.5, 0.25, 0.2] for name in MODELS}),
}

every_figure = pytest.mark.parametrize("draw", FIGURES.values(), ids=list(FIGURES))


def test_every_figure_is_tested_here() -> None:
    assert sorted(FIGURES) == sorted(figures.__all__)


@every_figure
def test_figure_draws_without_a_warning_and_leaves_no_window(draw: Callable[[], Figure]) -> None:
    figure = draw()  # warnings are errors in this suite
    assert isinstance(figure, Figure)
    figure.canvas.draw()
    assert plt.get_fignums() == []


@every_figure
def test_axes_say_what_they_show_and_hold_something(draw: Callable[[], Figure]) -> None:
    figure = draw()
    assert any(axis.get_xlabel() for axis in figure.axes)
    assert any(axis.get_ylabel() for axis in figure.axes)
    for axis in figure.axes:
        assert axis.has_data()
        across, down = axis.get_subplotspec().is_last_row(), axis.get_subplotspec().is_first_col()
        assert axis.get_xlabel() or not across
        assert axis.get_ylabel() or not down


@every_figure
def test_drawing_leaves_the_settings_of_matplotlib_alone(draw: Callable[[], Figure]) -> None:
    before = dict(mpl.rcParams)
    draw()
    assert dict(mpl.rcParams) == before


def test_divergence_marks_the_smallest_value_and_its_step() -> None:
    trace = a_trace()
    (note,) = [text.get_text() for text in figures.divergence({"MGDM": trace}).axes[0].texts]
    assert note == f"{trace.reverse_kl.min():.2f} at step 6"


def test_band_is_two_standard_errors_wide() -> None:
    trace = a_trace()
    (band,) = figures.divergence({"MGDM": trace}).axes[0].collections
    corners = band.get_paths()[0].vertices
    at_start = corners[corners[:, 0] == 0.0, 1]
    assert np.ptp(at_start) == pytest.approx(4 * trace.standard_error[0], abs=1e-12)


def test_curves_show_the_divergence_itself() -> None:
    trace = a_trace()
    line = figures.divergence({"MGDM": trace}).axes[0].lines[0]
    np.testing.assert_array_equal(line.get_ydata(), trace.reverse_kl)


def test_models_keep_their_colours() -> None:
    legend = figures.loss_curves({name: [1.0, 0.5, 0.25] for name in MODELS}).axes[0].get_legend()
    assert legend is not None
    shown = {text.get_text(): line.get_color() for text, line in zip(legend.texts, legend.get_lines(), strict=True)}
    assert shown == {name: figures.COLOURS[name] for name in MODELS}
