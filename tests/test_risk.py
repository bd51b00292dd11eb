"""Value at risk, expected shortfall and drawdowns: values by hand, errors against repeated draws, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mfmgdm_lib.risk import risk_table


def draws(n: int, length: int, seed: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, length)))


def test_losses_of_differences_are_falls_of_stretches() -> None:
    paths = torch.tensor([[1.0, -3.0, 2.0, -1.0], [0.0, -2.0, 0.5, 0.5]], dtype=torch.float64)
    table = risk_table(paths, [2], shares=[0.01], kind="difference")
    # Stretches: (1, −3), (2, −1) and (0, −2), (½, ½); their largest falls are 3, 1, 2, 0.
    assert table.loc[(2, "drawdown, mean"), "value"] == 1.5
    # The means of the two paths are 2 and 1.
    assert table.loc[(2, "drawdown, mean"), "standard error"] == pytest.approx(0.5)
    assert math.isnan(table.loc[(2, "value at risk, 1 %"), "value"])


def test_losses_of_log_returns_are_shares_of_the_price() -> None:
    paths = torch.full((10, 100), math.log(0.9), dtype=torch.float64)
    table = risk_table(paths, [2], shares=[0.5])
    assert table.loc[2, "value"].iloc[:3].tolist() == pytest.approx([0.19] * 3)


def test_gaussian_paths_have_the_tails_of_the_gaussian() -> None:
    table = risk_table(draws(400, 250, seed=0), [1, 5], kind="difference")
    for horizon in (1, 5):
        for share, quantile, shortfall in ((0.95, 1.644854, 2.062713), (0.99, 2.326348, 2.665214)):
            rows = table.loc[horizon]
            for name, expected in (("value at risk", quantile), ("expected shortfall", shortfall)):
                value, error = rows.loc[f"{name}, {100 * share:g} %"]
                assert abs(value - expected * horizon**0.5) < 4.0 * error, (name, share, horizon)


def test_standard_errors_are_the_spread_of_repeated_draws_of_dependent_stretches() -> None:
    """Paths differ in size, so that stretches of one are alike: errors as of independent ones would be too small."""
    tables = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        sizes = rng.uniform(0.5, 2.0, (40, 1))
        tables.append(risk_table(torch.from_numpy(sizes * rng.standard_normal((40, 200))), [1, 5], kind="difference"))
    spread = np.std([table["value"] for table in tables], axis=0, ddof=1)
    claimed = np.sqrt(np.mean([table["standard error"] ** 2 for table in tables], axis=0))
    # The spread of 200 is known to 5 %; a quantile's error by Woodruff's rule is right to a few percent.
    np.testing.assert_allclose(claimed, spread, rtol=0.25)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"horizons": [300]}, "horizons has 300.*at most"),
        ({"horizons": [0]}, "horizons is 0"),
        ({"shares": [95]}, "shares has 95"),
        ({"kind": "none"}, "kind is 'none'"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        risk_table(draws(3, 200, seed=0), **arguments)  # type: ignore[arg-type]


def test_a_single_path_has_no_errors() -> None:
    with pytest.raises(ValueError, match="at least 2 paths"):
        risk_table(draws(1, 200, seed=0))
