"""Former spellings, which work for one release with a warning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mfmgdm_lib as mm
from mfmgdm_lib._deprecated import renamed

PROCESS, ENERGY = mm.processes.AR([0.1]), mm.energies.Autocovariance()
START = mm.initial_distribution(PROCESS)
MODEL = mm.MFMGDM(ENERGY, mm.estimate_target(ENERGY, PROCESS, n_samples=200, length=16, seed=1), step_size=1.0)
FLOW = MODEL.freeze(START.sample(8, 16, seed=2), 3, start=START)
X = START.sample(2, 16, seed=3)
SETTINGS = mm.Determinants("dense", every=2, on_fold="record")
RUN = {"n_steps": 3, "length": 16, "seed": 2}


def trace(**options: Any) -> np.ndarray:
    return mm.reverse_kl_trace(MODEL, PROCESS, **RUN, **options).log_q


@pytest.mark.parametrize(
    ("former", "now", "said"),
    [
        (
            lambda: trace(initial=START, n_particles=4, jacobian="dense", determinant_every=2, on_fold="record"),
            lambda: trace(start=START, n_paths=4, determinants=SETTINGS),
            "reverse_kl_trace: (initial|n_particles|jacobian|determinant_every|on_fold) is now",
        ),
        (
            lambda: trace(start=START, n_paths=4, jacobian="stochastic", step_error=1e-3),
            lambda: trace(start=START, n_paths=4, determinants=mm.Determinants("stochastic", step_error=1e-3)),
            "(jacobian|step_error) is now determinants's (backend|step_error)",
        ),
        (
            lambda: trace(start=START, n_paths=4, determinants="structured"),
            lambda: trace(start=START, n_paths=4, determinants="banded"),
            "'structured' is now 'banded'",
        ),
        (
            lambda: mm.log_determinant(MODEL, MODEL.evaluate(X), backend="dense").per_path,
            lambda: mm.log_determinant(MODEL, MODEL.evaluate(X), determinants="dense").per_path,
            "log_determinant: backend is now determinants",
        ),
        (
            lambda: FLOW.log_prob(X, jacobian="dense"),
            lambda: FLOW.log_prob(X, determinants="dense"),
            "FrozenFlow.log_prob: jacobian is now determinants",
        ),
        (
            lambda: [state.log_prob.tolist() for state in FLOW.steps(X, on_fold="ignore")],
            lambda: [
                state.log_prob.tolist() for state in FLOW.steps(X, determinants=mm.Determinants(on_fold="record"))
            ],
            "(on_fold is now determinants's on_fold|'ignore' is now 'record')",
        ),
        (
            lambda: mm.companion.SyntheticExperiment(PROCESS, ENERGY, 1.0, 3, n_particles=5).n_paths,
            lambda: 5,
            "SyntheticExperiment: n_particles is now n_paths",
        ),
        (
            lambda: [mm.reverse_kl_trace(MODEL, PROCESS, START, **RUN).jacobian],
            lambda: ["banded"],
            "jacobian is now determinants",
        ),
    ],
)
def test_former_spelling_warns_and_does_what_the_new_one_does(
    former: Callable[[], Any], now: Callable[[], Any], said: str
) -> None:
    with pytest.warns(DeprecationWarning, match=said):
        found = former()
    np.testing.assert_array_equal(found, now())


def test_both_spellings_at_once_are_refused() -> None:
    function = renamed(old="new")(lambda new: new)
    with pytest.warns(DeprecationWarning), pytest.raises(TypeError, match="has old and new; expected one spelling"):
        function(old=1, new=2)
