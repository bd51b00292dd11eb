"""Every figure draws without a warning, labels its axes, and leaves matplotlib's settings unchanged."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from io import BytesIO
from typing import NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from torch import Tensor

from mfmgdm_lib import plotting
from mfmgdm_lib.companion import (
    AR_ILLUSTRATION,
    MarketCell,
    MarketExperiment,
    MarketSummary,
    ar_explorer_data,
    describe_spins,
    figures,
    market_explorer_data,
    market_spreads,
)
from mfmgdm_lib.companion.figures.growth import energy_growth_exponents
from mfmgdm_lib.companion.path_summaries import describe_paths, describe_series
from mfmgdm_lib.descents import GuidedState
from mfmgdm_lib.divergence import DivergenceTrace
from mfmgdm_lib.entropy import EntropyTrace
from mfmgdm_lib.generation import Generation, generate
from mfmgdm_lib.plotting import widths
from mfmgdm_lib.runs.store import Result
from mfmgdm_lib.statistics import autocorrelation, leverage
from mfmgdm_lib.stopping import BalancedStop

MODELS = ("MGDM", "MF–MGDM")


def draws(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


SOME_GAINS = pd.DataFrame(
    {
        "series": "here",
        "model": ["argarch-t", "argarch-t", "argjr-n", "argarch-t", "argarch-t"],
        "refitted": [False, True, False, False, True],
        "flow": [False, False, False, True, True],
        "over AR-GARCH-t": [0.0, 0.01, -0.02, 0.02, 0.03],
        "over AR-GARCH-t ±": 0.01,
        "over base": [np.nan, np.nan, np.nan, 0.02, 0.02],
        "over base ±": 0.01,
    }
)
"""Gains of two models, and of a flow of one of them."""


def a_trace(members: int = 1) -> DivergenceTrace:
    """A divergence that falls from 20 to 2 nats at step 6 of 10 and rises again."""
    log_q = 2.0 + 0.5 * (np.arange(11)[:, None] - 6.0) ** 2 + 0.1 * draws(11, 8).numpy()
    ones, no_error = np.ones(11), np.zeros(11)
    return DivergenceTrace(
        log_q,
        np.zeros((11, 8)),
        ones,
        np.ones((11, 2)),
        no_error,
        no_error,
        ones,
        no_error,
        draws(8, 16),
        members,
        "dense",
    )


def a_stop() -> BalancedStop:
    """A stop at step 3 of 8, where the gain falls below the price."""
    gain, known = 2.0 ** -np.arange(8), np.ones(8)
    return BalancedStop(
        3, True, known == 1.0, 0.2 * known, gain, 0.0 * known, known, 0.0 * known, draws(8, 16), None, 8, "dense"
    )


SIZES = np.array([2.0, 4.0, 8.0])


GRID = np.linspace(0.0, 3.0, 31)


def a_table() -> pd.DataFrame:
    """A divergence that falls to 1 nat at step 4, with steps left out."""
    steps = [0, 1, 4, 8]
    columns = {"reverse_kl": [9.0, 7.0, 1.0, 2.0], "standard_error": 0.1, "entropy": 5.0, "log_likelihood": -6.0}
    return pd.DataFrame(columns, index=steps)


def a_market(seed: int = 0) -> MarketSummary:
    """A market cell with everything that a figure may ask for."""
    steps = pd.Series([0.0, 0.2, 0.1], index=[0, 1, 4])
    parts = {"loss": steps + 0.1, "log_determinant": steps, "error": 0.1 * steps, "folded": steps - 0.1 > 0.05}
    parts |= describe_paths(draws(8, 100, seed=seed))
    series = describe_series(draws(300, seed=9), window=100)
    parts |= {f"series {name}": values for name, values in series.items()}
    table = pd.concat(parts, names=["quantity", "at"]).astype(float).rename("value").reset_index("at")
    cell = MarketCell("sp500", "stylized", "mf", 50.0, 4)
    return MarketSummary(cell, Result({}, {"wall_time": 1.0}, table))


def a_joint_generation(count: int) -> Generation:
    table = draws(400, count) + 0.5 * draws(400, 1)
    columns = [f"a long name {place}" for place in range(count)]
    return generate(pd.DataFrame(table.numpy(), columns=columns), n_paths=3, length=64, start="noise", duration=1.0)


def a_generation() -> Generation:
    return generate(draws(400), n_paths=3, length=64)


def two_laws(index: Iterable[int]) -> pd.DataFrame:
    """Divergences of a joint law and of one path's, which is the smaller."""
    return pd.DataFrame({"joint": 2.0, "path": 1.0}, index=list(index))


def separations_of(*laws: str) -> pd.DataFrame:
    """Four values in two groups for each law: those of the group that is named first come second."""
    rows = {
        "value": [0, 1, 2, 3],
        "group": ["x", "y", "x", "y"],
        "shift": [5.0, -50.0, 0.5, 2.0],
        "standard_error": 0.5,
    }
    return pd.concat([pd.DataFrame(rows).assign(law=law) for law in laws], ignore_index=True)


def some_cells() -> pd.DataFrame:
    """Cells of two processes, two energies and both models, as `experiments.compare_cells` has them."""
    rows = [(p, e, m) for p in ("AR(0.1)", "CIR(1/2, 1, 1)") for e in ("i. acf", "ii. mean") for m in MODELS]
    numbers = {"least": 3.0, "printed": 3.1, "difference": 0.1, "standard_error": 0.2, "determinant_error": 0.02}
    more = {"step": 36, "rise": 11.0, "wall_time": 61.0, "gain": 1.5}
    marks = {"bound": True, "ends_bound": True, "holds": False}
    cells = pd.DataFrame(rows, columns=["process", "energy", "model"]).assign(**numbers, **more, **marks)
    return cells.set_axis([f"cell {k}" for k in range(len(cells))])


def an_entropy_trace(members: int) -> EntropyTrace:
    """Ten steps of two ensembles that lose half a nat each and pay a tenth, divided among the paths."""
    ones = np.ones((10, 2))
    parts = {"blocks": -0.5 * ones, "capacitance": -0.1 / members * ones, "at_rest": -0.1 / members * ones}
    bounds = {"norms": -9.0 * ones, "lower": -0.7 * ones, "upper": -0.4 * ones}
    others = dict.fromkeys(("error", "bound_error", "folded"), 0.0 * ones)
    return EntropyTrace(np.arange(10), **parts, **bounds, **others, moved=ones, members=members, determinants="banded")


def costs_of_energies() -> pd.DataFrame:
    """Times that grow as d² N and as d N², of memory that grows as d N; the largest size of one has no time."""
    sizes = [(d, n) for d in (256, 512, 1024) for n in (128, 256)]
    table = pd.DataFrame([(name, d, n) for name in ("i", "ii") for d, n in sizes], columns=["energy", "d", "N"])
    square, points = table["d"].where(table["energy"] == "i", table["N"]), table["d"] * table["N"]
    table = table.assign(seconds=1e-9 * points * square, fft_seconds=1e-9 * points, array_bytes=8 * points)
    table = table.assign(peak_bytes=2e8 + 40 * points, bytes_before=2e8)
    table.loc[table.index[-1], "seconds"] = np.nan
    return table


FIGURES: dict[str, Callable[[], Figure]] = {
    "energy_growth": lambda: figures.energy_growth(costs_of_energies()),
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
    "spread_ratios": lambda: figures.spread_ratios({"no target": (np.array([0.1, 0.5]), [0.4, 0.0])}),
    "sample_paths": lambda: figures.sample_paths({"true": draws(2, 60), "MGDM": draws(3, 60)}),
    "violins": lambda: figures.violins({name: draws(12, 80) for name in MODELS}, draws(200)),
    "marginals": lambda: figures.marginals({name: draws(12, 80) for name in MODELS}, draws(200)),
    "joint_and_path": lambda: figures.joint_and_path(
        two_laws([1, 2, 4]), {"MGDM": two_laws(range(5)), "MF–MGDM": two_laws(range(5))}
    ),
    "pushed_densities": lambda: figures.pushed_densities(
        {title: (draws(30, 2), draws(30).numpy()) for title in ("start", "end")}, {"end": draws(4, 5, 2)}
    ),
    "scaling": lambda: figures.scaling(
        {"excess": ("MF–MGDM", SIZES, 3.0 / SIZES, 0.1 / SIZES)}, power=-1, xlabel="paths", ylabel="nats"
    ),
    "paths_and_marginals": lambda: figures.paths_and_marginals(
        {name: (name, draws(3, 60).abs(), np.linspace(1.0, 0.0, 20)) for name in MODELS}, np.linspace(0.0, 3.0, 20)
    ),
    "half_line_steps": lambda: figures.half_line_steps(
        GRID,
        {"ReLU": np.maximum(GRID - 1.0, 0.0), "kept": np.where(GRID < 1.0, GRID, GRID - 1.0)},
        {"ReLU": torch.tensor([0.0, 0.5, 1.0]), "kept": torch.tensor([0.2, 0.5, 1.0])},
        {"ReLU": {"moved": np.exp(-GRID)}, "kept": {"moved": np.exp(-GRID), "all": 2 * np.exp(-GRID)}},
    ),
    "divergence_tables": lambda: figures.divergence_tables(
        {process: {name: a_table() for name in MODELS} for process in ("one", "two")}
    ),
    "divergence_by_run": lambda: figures.divergence_by_run({"one": a_table(), "two": a_table()}, printed=(4, 1.5)),
    "cell_values": lambda: figures.cell_values(some_cells()),
    "cell_agreement": lambda: figures.cell_agreement(some_cells()),
    "cell_gains": lambda: figures.cell_gains(some_cells()),
    "cell_rises": lambda: figures.cell_rises(some_cells()),
    "cell_costs": lambda: figures.cell_costs(some_cells()),
    "replicate_spread": lambda: figures.replicate_spread(
        pd.DataFrame({"cell": ["cell 0"] * 3 + ["cell 5"] * 3, "least": [2.9, 3.0, 3.1] * 2}), some_cells()
    ),
    "loss_curves": lambda: figures.loss_curves({name: [1.0, 0.5, 0.25, 0.2] for name in MODELS}),
    "jacobian_parts": lambda: figures.jacobian_parts(
        {"whole": draws(6, 6), "blocks": torch.block_diag(draws(3, 3), draws(3, 3))}, n_paths=2
    ),
    "last_line": lambda: figures.last_line(
        pd.DataFrame(draws(5, 3).numpy() * [0.0, 1.0, 1.0], columns=list(figures.READINGS)),
        pd.DataFrame(draws(9, 3).numpy(), columns=list(figures.READINGS)),
    ),
    "determinant_costs": lambda: figures.determinant_costs(
        pd.DataFrame(
            {"axis": ["d"] * 2 + ["N"] * 2, "size": [8, 16] * 2, "fixed": 4, "backend": "dense", "seconds": 0.1}
        ),
        {("d", "dense"): 3.0, ("N", "dense"): 1.0},
    ),
    "filter_banks": lambda: figures.filter_banks(
        {"a": (GRID / 3, draws(3, 31).numpy(), None), "b": (GRID / 3, draws(2, 31).numpy(), draws(31).numpy())}
    ),
    "scalograms": lambda: figures.scalograms(
        {name: (draws(40), draws(3, 40).abs()) for name in ("noise", "more noise")}, [0.35, 0.175, 0.0875]
    ),
    "separations": lambda: figures.separations({"ii": separations_of("a", "b"), "iii": separations_of("a", "b")}),
    "principal_components": lambda: figures.principal_components(
        torch.arange(300, 0, -1.0), {"one": torch.full((20,), 0.25), "other": torch.full((20,), 0.75)}
    ),
    "ar_explorer": lambda: figures.ar_explorer(
        ar_explorer_data(
            replace(AR_ILLUSTRATION, n_steps=8, n_paths=4, length=200, target_samples=100),
            sizes=(1, 4),
            cloud_steps=(0, 8),
            path_steps=(0, 8),
        ),
        size=4,
        step=8,
    ),
    "market_explorer": lambda: figures.market_explorer(market_explorer_data(MarketExperiment(n_paths=4, n_steps=20))),
    "market_violins": lambda: figures.market_violins({"MGDM": a_market(), "reference": a_market(1)}),
    "market_bands": lambda: figures.market_bands(
        {"here": dict.fromkeys(MODELS, a_market()), "there": {"MGDM": a_market(1)}}
    ),
    "market_entropies": lambda: figures.market_entropies({"here": dict.fromkeys(MODELS, a_market())}),
    "market_losses": lambda: figures.market_losses(
        {"step": {f"{model}, {kind}": a_market().curve("loss") for model in MODELS for kind in ("descent", "flow")}}
    ),
    "market_spread": lambda: figures.market_spread(
        market_spreads({"MGDM": a_market()}, {"kurtosis": "kurtosis", "lag 1": "acf 1"}), ["MGDM"]
    ),
    "entropy_parts": lambda: figures.entropy_parts({n: an_entropy_trace(n) for n in (1, 8)}, -5.0),
    "coupling_prices": lambda: figures.coupling_prices(
        *[{n: an_entropy_trace(n) for n in (1, 8, 32)}] * 2, wanted=0.01
    ),
    "bound_distances": lambda: figures.bound_distances(
        pd.DataFrame(
            {"name": ["one", "two"] * 2, "members": [1, 1, 8, 8], "change": -1.0, "A": [-5.0, -np.inf] * 2}
        ).assign(**{"B, lower": -1.1, "B, upper": -0.9})
    ),
    "frozen_divergences": lambda: figures.frozen_divergences(
        pd.DataFrame(
            {
                "kind": ["MGDM", "coupled", "frozen"] * 2,
                "step": [0] * 3 + [1] * 3,
                "reverse_kl": 0.5,
                "standard_error": 0.1,
            }
        ),
        pd.DataFrame(
            {
                "kind": ["frozen", "frozen", "MGDM"],
                "step": [0, 1, 0],
                "forward_kl": [5.0, 0.01, 5.0],
                "standard_error": 0.1,
                "without_origin": 0.0,
            }
        ),
    ),
    "frozen_sizes": lambda: figures.frozen_sizes(
        pd.DataFrame(
            {
                "process": "here",
                "energy": "this",
                "kind": ["MGDM", "coupled", "frozen"],
                "size": [1, 8, 8],
                "copy": 0,
                "least": [3.0, 0.5, 0.1],
                "standard_error": 0.1,
            }
        )
    ),
    "frozen_held_out": lambda: figures.frozen_held_out(
        pd.DataFrame(
            {"law": ["mf", "mgdm"], "start": "noise", "time": [1.0, 2.0], "held out": [0.1, -0.1], "held out ±": 0.01}
        ),
        pd.DataFrame({"name": ["a reference"], "held out": [0.2]}),
    ),
    "texture_pictures": lambda: figures.texture_pictures([dict.fromkeys(("gravel", "MGDM", "MF–MGDM"), draws(8, 8))]),
    "texture_tests": lambda: figures.texture_tests(
        pd.DataFrame(
            {"distance": [0.1, 0.2, 0.3, 0.05], "limit": [0.03, 0.04, 0.03, 0.04]},
            pd.MultiIndex.from_product([["mf, 128", "mgdm, 256"], ["values", "all"]], names=["fields", "group"]),
        ),
        {"mf, 128": "MF–MGDM, 128²", "mgdm, 256": "MGDM, 256²"},
    ),
    "texture_entropy": lambda: figures.texture_entropy(
        pd.DataFrame(
            {"loss": [1.0, 0.1, 1.0, 0.2], "change": [-0.1, -0.2, -0.1, -0.3]},
            pd.MultiIndex.from_product([["mf", "mgdm"], [0, 20]], names=["model", "step"]),
        )
    ),
    "field_pictures": lambda: figures.field_pictures(
        {name: {title: draws(8, 8) for title in ("start", "step 30", "step 150", "true")} for name in MODELS}
    ),
    "field_divergences": lambda: figures.field_divergences(
        {(side, model): a_table() for side in (32, 64, 128, 256) for model in ("mgdm", "mf")}, 0.0049
    ),
    "field_spectra": lambda: figures.field_spectra(
        {name: 1.0 + draws(8, 8).square() for name in ("true", "start", "filters")},
        pd.DataFrame({"volatility": [0.0, 1.0], "divergence": [0.006, 0.002]}),
    ),
    "guided_way": lambda: figures.guided_way(
        [GuidedState(n, draws(5, 8), draws(5, 2), draws(5, 2), draws(5), n / 2, None, -n) for n in range(3)],
        torch.ones(2),
        -1.5,
    ),
    "guided_volatility": lambda: figures.guided_volatility(
        pd.DataFrame(
            {
                "process": ["one"] * 6 + ["two"] * 6,
                "steps_per_square": [25, 25, 25, 200, 200, 200] * 2,
                "volatility": [0.0, 1.0, 2.0] * 4,
                "below_largest": [1.0, 0.5, 0.25] * 4,
                "estimate_below": [0.0, 0.5, 0.25] * 4,
            }
        )
    ),
    "guided_comparison": lambda: figures.guided_comparison(
        pd.DataFrame(
            {
                "process": ["one", "one", "two"],
                "model": ["MGD", "MF-MGDM", "MGD"],
                "volatility": [2.0, np.nan, 2.0],
                "steps": [100, 300, 100],
                "kl_largest": [0.01, 0.1, 0.2],
                "kl_process": [0.02, 0.2, 5.0],
            }
        )
    ),
    "guided_shares": lambda: figures.guided_shares(
        {name: draws(120, seed=k).square() for k, name in enumerate("abcd")}, draws(40)
    ),
    "held_out_gains": lambda: figures.held_out_gains(SOME_GAINS),
    "held_out_windows": lambda: figures.held_out_windows(
        pd.DataFrame([[0.1, 0.2], [0.0, 0.1]], index=["flow of GARCH–t", "GARCH–t"]),
        pd.to_datetime(["2009-01-02", "2010-01-04"]),
    ),
    "flow_gains": lambda: figures.flow_gains(SOME_GAINS[SOME_GAINS["flow"]]),
    "held_out_histograms": lambda: figures.held_out_histograms(
        pd.DataFrame([[40, 60, 50, 50], [50, 50, 45, 55]], index=["GARCH–t", "flow of GARCH–t"])
    ),
    "stop_of_a_descent": lambda: figures.stop_of_a_descent(a_trace(8), a_stop()),
    "stop_losses": lambda: figures.stop_losses(
        pd.DataFrame(
            {
                "process": ["ar01", "cir-trunc", "ar01", "ar01"],
                "energy": ["acf", "acf", "acf", "spectra"],
                "members": [8, 128, 1, 32],
                "above": [0.1, 20.0, 0.0, 1.0],
                "gained": [1.0, 300.0, 2.0, 3.0],
            }
        )
    ),
    "unseen_rises": lambda: figures.unseen_rises(
        pd.DataFrame(
            {
                "process": ["ar01"] * 3 + ["cir-exp"] * 3,
                "energy": "acf",
                "step": [0, 1, 2] * 2,
                "reverse_kl": [3.0, 1.0, 2.0] * 2,
                "paid": [0.0, 0.1, 0.2] * 2,
                "wrong_mean": [2.0, 1.0, 0.5] * 2,
            }
        )
    ),
    "series_alike": lambda: figures.series_alike(
        {name: draws(40).numpy() for name in ("real", "shuffled")}, true="real", ylabel="return"
    ),
    "entropies": lambda: figures.entropies(
        GRID, {name: np.exp(-GRID) for name in "abc"}, {"a": 1.0, "b": 1.2, "c": 1.4}
    ),
    "sphere_and_gaussian": lambda: figures.sphere_and_gaussian(
        {d: (draws(30, d), draws(30, d).sign()) for d in (2, 8)}
    ),
    "divergence_parts": lambda: figures.divergence_parts(
        GRID, {name: np.exp(-GRID) for name in ("p", "q", "r")}, SIZES, dict.fromkeys(("H", "E", "KL"), SIZES)
    ),
    "carried_density": lambda: figures.carried_density(
        draws(5, 7).numpy(), (GRID, np.exp(-GRID)), (GRID, np.exp(-GRID)), draws(50)
    ),
    "process_portraits": lambda: figures.process_portraits(
        {name: (draws(9, 60).abs(), np.exp(-SIZES), np.exp(-GRID)) for name in ("one", "two")}, GRID
    ),
    "ising_fields": lambda: figures.ising_fields(
        {name: [draws(8, 8, seed=k).sign().numpy() for k in range(3)] for name in ("true", *MODELS)}
    ),
    "ising_entropy": lambda: figures.ising_entropy(
        {
            (energy, model): (pd.Series([1.4, 1.3, 1.2], index=[0, 10, 149]), pd.Series(0.01, index=[0, 10, 149]))
            for energy in ("wavelet", "scattering")
            for model in MODELS
        }
    ),
    "ising_spins": lambda: figures.ising_spins(
        {name: describe_spins(draws(9, 8, 8).sign()) for name in ("true", "wavelet, MGDM", "scattering, MF–MGDM")}
    ),
    "generation_report": lambda: plotting.generation_report(a_generation(), unit="log-return per trading day"),
    **{
        f"generation_report, {count} columns": lambda count=count: plotting.generation_report(
            a_joint_generation(count), unit="log-return per trading day"
        )
        for count in (2, 4)
    },
    "energy_costs": lambda: figures.energy_costs(
        pd.DataFrame(
            {"energy": ["i", "i", "ii", "ii"], "task": ["a", "b"] * 2, "milliseconds": [0.1, 1.0, 10.0, 100.0]}
        )
    ),
}


SMALLEST = 8.0
"""Points of a letter: 10.7 pixels of a page that shows a figure at its own size, as pages for telephones do."""


class Drawn(NamedTuple):
    figure: Figure
    narrow: Figure
    settings_changed: bool


@pytest.fixture(scope="module", params=FIGURES.values(), ids=list(FIGURES))
def drawn(request: pytest.FixtureRequest) -> Drawn:
    """Each figure, drawn once for either width; warnings are errors in this suite."""
    before = dict(mpl.rcParams)
    figure = request.param()
    with widths.narrow_screen():
        narrow = request.param()
    return Drawn(figure, narrow, settings_changed=dict(mpl.rcParams) != before)


def test_every_figure_is_tested_here() -> None:
    names = {name.split(",")[0] for name in FIGURES}
    assert sorted(names) == sorted(name for name in figures.__all__ if callable(getattr(figures, name)))


def test_figure_draws_without_a_warning_and_leaves_no_window(drawn: Drawn) -> None:
    assert isinstance(drawn.figure, Figure)
    drawn.figure.canvas.draw()
    assert plt.get_fignums() == []


def test_axes_say_what_they_show_and_hold_something(drawn: Drawn) -> None:
    figure = drawn.figure
    assert figure.get_supxlabel() or any(axis.get_xlabel() for axis in figure.axes)
    for axis in figure.axes:
        if axis.get_label() == "<colorbar>":
            assert axis.get_xlabel() or axis.get_ylabel()
            continue
        assert axis.has_data()
        across, down = axis.get_subplotspec().is_last_row(), axis.get_subplotspec().is_first_col()
        assert axis.get_xlabel() or figure.get_supxlabel() or not across
        named = all(label.get_text()[:1].isalpha() for label in axis.get_yticklabels())  # rows with names of their own
        assert axis.get_ylabel() or named or not down


def test_drawing_leaves_the_settings_of_matplotlib_alone(drawn: Drawn) -> None:
    assert not drawn.settings_changed


@pytest.mark.parametrize("which", ["figure", "narrow"])
def test_letters_are_large_enough_and_nothing_is_cut(drawn: Drawn, which: str) -> None:
    figure: Figure = getattr(drawn, which)
    width, height = figure.get_size_inches()
    assert width == (widths.NARROW if which == "narrow" else widths.WIDE)
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    assert min(text.get_fontsize() for text in texts) >= SMALLEST
    figure.draw_without_rendering()
    box = figure.get_tightbbox()
    assert box.x0 > -0.01 and box.y0 > -0.01 and box.x1 < width + 0.01 and box.y1 < height + 0.01
    assert not [text.get_text() for text in texts if "^" in text.get_text() and "$" not in text.get_text()]


def test_panels_are_stacked_on_a_narrow_screen_and_each_says_what_it_shows() -> None:
    with widths.narrow_screen():
        figure = FIGURES["energy_moves"]()
    above, below = figure.axes
    assert above.get_position().y0 > below.get_position().y1
    assert above.get_position().x0 == below.get_position().x0
    assert above.get_ylabel() == below.get_ylabel() != ""
    assert [bool(axis.get_xlabel()) for axis in figure.axes] == [False, True]  # they share one axis


def test_book_keeps_a_figure_for_both_widths_in_one_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert FIGURES["scaling"]().narrow is None  # type: ignore[attr-defined]
    monkeypatch.setenv("MFMGDM_BOTH_WIDTHS", "1")
    file = widths.png(FIGURES["scaling"]())
    wide, narrow = widths.part_widths(file)
    assert narrow is not None
    shown = [Image.open(BytesIO(part)) for part in (file, wide, narrow)]
    assert [round(image.width / 192, 2) for image in shown] == [widths.WIDE, widths.WIDE, widths.NARROW]
    assert shown[0].convert("RGB").tobytes() == shown[1].convert("RGB").tobytes()
    assert widths.part_widths(wide) == (wide, None)


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
    assert shown == {name: plotting.COLOURS[name] for name in MODELS}


def test_line_of_a_scaling_figure_goes_through_values_that_scale() -> None:
    errors = np.array([0.1, 0.2, 0.3])
    axis = figures.scaling({"a": ("MGDM", SIZES, 3.0 / SIZES**2, errors)}, power=-2, xlabel="", ylabel="").axes[0]
    line = axis.lines[-1]
    np.testing.assert_allclose(line.get_ydata(), 3.0 / SIZES**2, rtol=1e-12)
    (bars,) = (part for part in axis.collections if part.get_segments())
    widths = [segment[1, 1] - segment[0, 1] for segment in bars.get_segments()]
    np.testing.assert_allclose(widths, 4 * errors, rtol=1e-12)


def test_level_of_a_scaling_line_is_weighted_by_precision() -> None:
    values, errors = np.array([3.0, 3.0, 30.0]) / SIZES, np.array([1e-3, 1e-3, 1e3])
    line = figures.scaling({"a": ("MGDM", SIZES, values, errors)}, power=-1, xlabel="", ylabel="").axes[0].lines[-1]
    np.testing.assert_allclose(line.get_ydata(), 3.0 / SIZES, rtol=1e-6)


def test_densities_of_all_panels_share_one_scale() -> None:
    figure = FIGURES["pushed_densities"]()
    (first,), (last,) = (
        [part for part in axis.collections if part.get_array() is not None] for axis in figure.axes[:2]
    )
    assert first.get_clim() == last.get_clim()


def test_tables_of_divergence_are_drawn_at_their_own_steps_and_their_smallest_value_is_marked() -> None:
    total = FIGURES["divergence_tables"]().axes[0]
    curve, dot = total.lines[:2]
    np.testing.assert_array_equal(curve.get_xdata(), [0, 1, 4, 8])
    assert (list(dot.get_xdata()), list(dot.get_ydata())) == ([4], [1.0])


def test_values_at_zero_are_stated_and_not_drawn_as_a_bar() -> None:
    _, clipped, kept = FIGURES["half_line_steps"]().axes
    assert [note.get_text() for note in clipped.texts] == ["33% are 0"]
    assert not kept.texts
    (bars,) = [patch for patch in clipped.patches if hasattr(patch, "get_data")]
    heights, edges = bars.get_data().values, bars.get_data().edges
    assert float((heights * np.diff(edges)).sum()) == pytest.approx(2 / 3, abs=1e-9)  # two of three values


def test_a_jump_of_a_map_is_not_joined_by_a_line() -> None:
    kept = FIGURES["half_line_steps"]().axes[0].lines[1].get_ydata()
    assert np.isnan(kept).sum() == 1


def test_separations_are_drawn_group_by_group_and_noise_is_left_white() -> None:
    axis = FIGURES["separations"]().axes[0]
    (image,) = axis.images
    shown = image.get_array()
    np.testing.assert_array_equal(shown.mask[0], [False, True, False, False])  # 0.5 is within 2 standard errors of 0.5
    np.testing.assert_array_equal(shown[0].compressed(), [5.0, -50.0, 2.0])
    assert [label.get_text() for label in axis.get_xticklabels()] == ["x\n(2)", "y\n(2)"]


def test_scalogram_shows_moduli_relative_to_their_means() -> None:
    moduli = torch.tensor([[1.0, 3.0], [4.0, 4.0]])
    figure = figures.scalograms({"a": (draws(2), moduli)}, [0.35, 0.175])
    (image,) = figure.axes[1].images
    np.testing.assert_allclose(image.get_array(), [[0.5, 1.5], [1.0, 1.0]])


def test_marginals_reach_to_the_farthest_value() -> None:
    paths = draws(4, 50)
    paths[0, 0] = -11.3
    figure = figures.marginals({"MGDM": paths}, draws(60))
    low, high = figure.axes[0].get_xlim()
    assert low < -11.3 and high > 11.3


def test_violins_of_the_market_reach_over_all_paths_and_whiskers_to_the_extremes() -> None:
    summary = a_market()
    for axis, kind in zip(figures.market_violins({"MGDM": summary}).axes[:2], ("acf", "squares"), strict=True):
        *bodies, whiskers = axis.collections
        heights = [body.get_paths()[0].vertices[:, 1] for body in bodies]
        ends = [(height.min(), height.max()) for height in heights]
        np.testing.assert_allclose(ends, summary.band(kind, np.array([0.5, 127.5]) / 128), rtol=0, atol=1e-12)
        segments = [segment[:, 1] for segment in whiskers.get_segments()]
        np.testing.assert_allclose(segments, summary.band(kind, np.array([0.0, 1.0])), rtol=0, atol=1e-12)


def test_bands_of_autocorrelations_hold_nine_paths_in_ten_around_their_median() -> None:
    summary, generation = a_market(), a_generation()
    mean, stddev = generation.series.mean(), generation.series.std(correction=0)
    of_paths = autocorrelation((generation.paths - mean) / stddev).numpy()
    shares = np.array([0.05, 0.5, 0.95])
    cases = [
        (figures.market_bands({"here": {"MGDM": summary}}).axes[0], 0, summary.band("acf", shares).T),
        (plotting.generation_report(generation).axes[3], 1, np.quantile(of_paths, shares, axis=0)),
    ]
    for axis, line, (low, middle, high) in cases:
        corners = axis.collections[0].get_paths()[0].vertices
        drawn = [corners[corners[:, 0] == lag, 1] for lag in range(1, 21)]
        np.testing.assert_allclose([(ys.min(), ys.max()) for ys in drawn], np.column_stack((low, high)), atol=1e-12)
        np.testing.assert_allclose(axis.lines[line].get_ydata(), middle, atol=1e-12)


def test_report_draws_leverage_at_20_lags_and_shares_beyond_1_to_10_deviations() -> None:
    generation = a_generation()
    x = (generation.series - generation.series.mean()) / generation.series.std(correction=0)
    after_falls, tails = (plotting.generation_report(generation).axes[at] for at in (5, 7))
    np.testing.assert_allclose(after_falls.lines[3].get_ydata(), leverage(x), rtol=0, atol=1e-12)
    at, shares = tails.lines[0].get_data()
    assert at[0] == 1.0 and (np.diff(at) > 0).all()
    expected = [float((x.abs() > far).double().mean()) for far in np.asarray(at, dtype=float)]
    np.testing.assert_allclose(shares, expected, rtol=0, atol=1e-12)


def test_joint_report_draws_cross_correlations_of_the_pair_at_lags_of_either_sign() -> None:
    generation = a_joint_generation(2)
    of_values, of_squares = plotting.generation_report(generation).axes[4:6]
    first, second = (pd.Series(row.numpy() - float(row.mean())) for row in generation.series)
    for axis, x, y in ((of_values, first, second), (of_squares, first**2, second**2)):
        drawn = dict(zip(*(np.asarray(part) for part in axis.lines[2].get_data()), strict=True))
        x, y = (part - part.mean() for part in (x, y))
        expected = [(x * y.shift(-lag)).sum() / np.sqrt((x**2).sum() * (y**2).sum()) for lag in range(-10, 11)]
        np.testing.assert_allclose([drawn[lag] for lag in range(-10, 11)], expected, rtol=0, atol=1e-12)


def test_joint_report_of_four_series_draws_each_pair_at_lag_0() -> None:
    generation = a_joint_generation(4)
    of_values = plotting.generation_report(generation).axes[8]
    correlations = np.corrcoef(generation.series.numpy())
    drawn = [float(line.get_xdata()[0]) for line in of_values.lines[3::4]]
    np.testing.assert_allclose(drawn, correlations[np.triu_indices(4, 1)], rtol=0, atol=1e-12)


def test_lines_of_entropies_stay_within_the_frame_and_are_dashed_where_they_are_bounds() -> None:
    deep = a_market()
    deep.result.table.loc["log_determinant", "value"] *= -300.0
    axis = figures.market_entropies({"here": {"MGDM": deep}}).axes[0]
    _, exact, bound = axis.get_lines()  # after the line of the start
    low, high = axis.get_ylim()
    for line in (exact, bound):
        values = np.asarray(line.get_ydata(), dtype=float)
        assert low < values.min() and values.max() < high
    assert (exact.get_linestyle(), bound.get_linestyle()) == ("-", "--")
    assert np.asarray(bound.get_ydata(), dtype=float).min() == -60.0


def test_held_out_figure_draws_every_reference() -> None:
    names = ["one", "two", "three", "four"]
    flows = pd.DataFrame({"law": ["mf"], "start": "noise", "time": [1.0], "held out": [0.1], "held out ±": 0.01})
    references = pd.DataFrame({"name": names, "held out": [0.2, 0.3, 0.4, 0.5]})
    figure = figures.frozen_held_out(flows, references)
    assert [text.get_text() for text in figure.legends[0].get_texts()][-4:] == names
    heights = {float(np.asarray(line.get_ydata())[0]) for line in figure.axes[0].get_lines()}
    assert heights >= {0.2, 0.3, 0.4, 0.5}


def test_dots_of_a_portrait_are_the_autocovariances_of_its_paths() -> None:
    paths = torch.tensor([[1.0, -1.0, 1.0, -1.0], [3.0, 1.0, 3.0, 1.0]])
    figure = figures.process_portraits({"two": (paths, np.ones(3), np.exp(-GRID))}, GRID)
    _, dots, _ = figure.axes[1].lines
    np.testing.assert_allclose(
        np.asarray(dots.get_ydata(), dtype=float), [2.0, 0.0, 2.0], rtol=0, atol=1e-6
    )  # about their mean of 1


def test_exponents_of_scale_are_those_that_times_and_memory_were_made_with() -> None:
    table = energy_growth_exponents(costs_of_energies())
    expected = {"seconds, d": [2, 1], "seconds, N": [1, 2], "memory, d": [1, 1], "memory, N": [1, 1], "FFT, d": [1, 1]}
    for column, values in expected.items():
        assert table[column].tolist() == pytest.approx(values, abs=1e-9), column
    assert table["times the FFT"].tolist() == pytest.approx(
        [1024.0, 256.0]
    )  # ii: N at d = 512, for d = 1024 has N = 128 alone
