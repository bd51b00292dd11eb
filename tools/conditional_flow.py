"""Score conditional flows, and the models of `arch`, on held-out days of eight series.

`MFMGDM_DATA_DIR=FOLDER python tools/conditional_flow.py CHECKPOINTS [NAME ...]` fits every model once and again each
year, keeps the daily scores of each in the folder CHECKPOINTS, from where it goes on, and writes what the page
"Tomorrow given today" shows:

- results/held_out_gains.csv: mean log-densities of held-out days, and what each law gains over others;
- results/held_out_windows.csv: the same window by window, of the S&P 500;
- results/held_out_probabilities.csv: histograms of the probabilities of a value below each day.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mfmgdm_lib import fit_conditional_flow
from mfmgdm_lib.companion import store
from mfmgdm_lib.companion.held_out_days import (
    BASES,
    N_FITTED,
    best_bases,
    daily_scores,
    gain_columns,
    held_out_series,
    unseen_days,
    window_means,
)
from mfmgdm_lib.processes import ConditionalLaw, fit_volatility

DEFAULT = "argarch-t"
REFERENCES = {
    "over AR-GARCH-t": (DEFAULT, False, False),
    "over APARCH-skewt": ("araparch-skewt", False, False),
    "over GJR-skewt refitted": ("argjr-skewt", True, False),
}
"""Columns of gains, and the model, whether it is refitted, and whether it is moved by a flow."""

Law = tuple[str, bool, bool]


def laws(values: Tensor) -> Iterator[Law]:
    """All models, fixed and refitted; with a flow the three best on the fitted days, and the default, fixed."""
    for model in BASES:
        yield model, False, False
        yield model, True, False
    for model in best_bases(values):
        yield model, False, True
        yield model, True, True
    if DEFAULT not in best_bases(values):
        yield DEFAULT, False, True


def fitter(model: str, flow: bool) -> Callable[[Tensor], ConditionalLaw]:
    """What fits a model, or the flow of its innovations, to a series."""
    if flow:
        return lambda series: fit_conditional_flow(series, model)
    return lambda series: fit_volatility(series, model)


def scored(folder: Path, name: str, values: Tensor) -> dict[Law, tuple[np.ndarray, np.ndarray]]:
    """Daily scores and probabilities of each law, from checkpoints where they are."""
    found = {}
    for law in laws(values):
        model, refitted, flow = law
        file = folder / f"{name} {model} {'refitted' if refitted else 'fixed'} {'flow' if flow else 'base'}.npz"
        if not file.exists():
            scores, probabilities = daily_scores(values, fitter(model, flow), refitted=refitted)
            np.savez(file, scores=scores.numpy(), probabilities=probabilities.numpy())
            print(file.stem, f"{float(scores.mean()):.4f}", flush=True)
        with np.load(file) as arrays:
            found[law] = arrays["scores"], arrays["probabilities"]
    return found


def gains(name: str, values: Tensor, found: dict[Law, tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    """A row for each law, with its gains over the references, and of a flow over its base."""
    fitted = values[:N_FITTED]
    noise = torch.distributions.Normal(fitted.mean(), fitted.std(correction=0)).log_prob(values).numpy()
    rows = []
    for (model, refitted, flow), (scores, _) in found.items():
        row = {"series": name, "model": model, "refitted": refitted, "flow": flow, "days": len(scores)}
        row |= gain_columns("over white noise", scores - noise[-len(scores) :])
        for column, reference in REFERENCES.items():
            row |= gain_columns(column, scores - found[reference][0])
        if flow:
            row |= gain_columns("over base", scores - found[model, refitted, False][0])
        rows.append(row)
    return pd.DataFrame(rows)


def histograms(name: str, found: dict[Law, tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    """Days in twenty bins of probability, for each law."""
    counts = {law: np.histogram(probabilities, 20, (0.0, 1.0))[0] for law, (_, probabilities) in found.items()}
    table = pd.DataFrame.from_dict(counts, orient="index")
    table.index = pd.MultiIndex.from_tuples([(name, *law) for law in counts], names=INDEX)
    return table


INDEX = ["series", "model", "refitted", "flow"]


def main() -> None:
    """Score what is missing, and write the tables of all series that are there."""
    folder, names = Path(sys.argv[1]), sys.argv[2:]
    folder.mkdir(parents=True, exist_ok=True)
    series = {name: values for name, values in held_out_series().items() if not names or name in names}
    found = {name: scored(folder, name, values) for name, values in series.items()}
    if names:
        return
    origin = ["Made by: python tools/conditional_flow.py", "Log-densities in nats a day."]
    days, later = unseen_days(), "S&P 500, 2019 to 2024"
    series[later] = series["S&P 500 to 2024"]
    found[later] = {law: (s[-days:], p[-days:]) for law, (s, p) in found["S&P 500 to 2024"].items()}
    table = pd.concat([gains(name, series[name], laws_of) for name, laws_of in found.items()])
    store("held_out_gains", table.to_csv(index=False, float_format="%.7f"), origin)
    first = found["S&P 500"]
    reference = first[DEFAULT, False, False][0]
    windows = pd.DataFrame({law: window_means(scores - reference) for law, (scores, _) in first.items()}).T
    windows.index.names = INDEX[1:]
    store("held_out_windows", windows.to_csv(float_format="%.5f"), [*origin, "S&P 500, over AR-GARCH-t, by window."])
    counts = pd.concat([histograms(name, laws_of) for name, laws_of in found.items()])
    store("held_out_probabilities", counts.to_csv(), [*origin, "Days in twenty bins of the probability below."])


if __name__ == "__main__":
    main()
