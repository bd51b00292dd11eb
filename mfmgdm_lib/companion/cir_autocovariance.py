"""CIR under the autocovariance energy, the first column of Table 1: what is stored of it, and what could change it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from torch import Tensor

from mfmgdm_lib.companion.comparison import MODEL_NAMES
from mfmgdm_lib.companion.paper import numbers
from mfmgdm_lib.companion.results import stored
from mfmgdm_lib.companion.synthetic import PROCESS_NAMES, summarize
from mfmgdm_lib.divergence import DivergenceTrace
from mfmgdm_lib.energies import Autocovariance

__all__ = ["cells_table", "describe_rates", "shared_steps", "stored_runs", "variations", "variations_text"]

Runs = Mapping[str, Mapping[str, pd.DataFrame]]


def stored_runs() -> dict[str, dict[str, pd.DataFrame]]:
    """The stored divergences, by the names of process and model: tables like those of `summarize`.

    Example:
        >>> {process: list(tables) for process, tables in stored_runs().items()}
        {'CIR(1/2, 1, 1)': ['MGDM', 'MF–MGDM'], 'CIR(2^−½, 2^½, 1)': ['MGDM', 'MF–MGDM']}
    """
    tables = stored("cir_autocovariance").replace({"process": PROCESS_NAMES})
    return {
        str(process): {str(model): table.set_index("step") for model, table in own.groupby("model", sort=False)}
        for process, own in tables.groupby("process", sort=False)
    }


def _printed() -> dict[tuple[str, str], str]:
    """The paper's numbers, as text, by the names of process and model."""
    stated = numbers().set_index("key")["value"]
    return {
        (PROCESS_NAMES[process], MODEL_NAMES[model]): str(stated[f"table1-{process}-acf-{model}"])
        for process in ("cir-exp", "cir-trunc")
        for model in ("mgdm", "mf")
    }


def cells_table(runs: Runs) -> pd.DataFrame:
    """The smallest divergences of `stored_runs` beside the paper's numbers, as text, nats per path: a row for each."""
    rows = {}
    for (process, model), text in _printed().items():
        table = runs[process][model]
        step = int(table["reverse_kl"].idxmin())
        best = table.loc[step]
        rows[process, model] = {
            "paper": text,
            "here": f"{best['reverse_kl']:.2f}",
            "at step": str(step),
            "paper less here": f"{float(text) - best['reverse_kl']:+.2f}",
            "standard error": f"{best['standard_error']:.2f}",
        }
    return pd.DataFrame(rows).T.rename_axis(["process", "model"])


def variations(runs: Runs) -> pd.DataFrame:
    """By how much the paper's numbers are above those stored, and what variations change, nats per path.

    Args:
        runs: what `stored_runs` returns.

    Returns:
        A column for each process and model; the first row is "the paper's number".
    """
    printed = _printed()
    tried = stored("cir_variations").replace({"process": PROCESS_NAMES})
    wide = tried.pivot(index="variation", columns=["process", "model"], values="nats")
    wide = wide.loc[tried["variation"].unique(), list(printed)]
    gap = {(one, two): float(text) - runs[one][two]["reverse_kl"].min() for (one, two), text in printed.items()}
    return pd.concat([pd.Series(gap).to_frame("the paper's number").T, wide])


def variations_text(changes: pd.DataFrame) -> pd.DataFrame:
    """Write rows of `variations` with signs, and what would round to nothing as 0."""
    text = changes.map(lambda nats: f"{nats:+.2f}" if abs(nats) >= 0.005 else "0")
    error = "standard error of those"
    text.loc[error] = text.loc[error].str.replace("+", "± ")
    return text.rename_axis("change, nats")


def shared_steps(trace: DivergenceTrace, table: pd.DataFrame) -> pd.Index:
    """The steps that a trace shares with a stored table, whose six decimals it agrees with.

    Raises:
        AssertionError: it does not.
    """
    now = summarize(trace)
    shared, columns = table.index.intersection(now.index), list(now.columns)
    # Round-off of sums of order 10³ over some hundred steps stays far below six decimals.
    deviation = float(np.abs(now.loc[shared] - table.loc[shared, columns]).max().max())
    if not deviation < 1e-6:
        raise AssertionError(f"the trace deviates from the table by {deviation:.3g}; expected at most six decimals")
    return shared


def describe_rates(x: Tensor) -> dict[str, float]:
    """Moments of all values of paths (N, time), of neighbours, and the share of values next to zero."""
    deviations = x - x.mean()
    neighbours = (deviations[:, 1:] * deviations[:, :-1]).mean() / deviations.square().mean()
    values = {"mean": x.mean(), "variance": x.var(), "correlation of neighbours": neighbours}
    values |= {"share below 0.1": (x < 0.1).double().mean(), "lag 1": Autocovariance()(x)[:, 0].mean()}
    return {name: float(value) for name, value in values.items()}
