"""Fields like the photograph of gravel by both models: how they are made, tested and stored."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from scipy.integrate import cumulative_trapezoid
from torch import Tensor

from mfmgdm_lib._arguments import checked
from mfmgdm_lib._arrays import load_arrays
from mfmgdm_lib._checks import check_member
from mfmgdm_lib.companion.results import results_folder
from mfmgdm_lib.companion.textures import texture
from mfmgdm_lib.data import cut_patches
from mfmgdm_lib.descents import Descent
from mfmgdm_lib.descents.gradient_flow import GradientFlow
from mfmgdm_lib.energies import Energy, Whitening
from mfmgdm_lib.field_generation import checkerboard, field_target, texture_energy
from mfmgdm_lib.log_determinants import Stochastic, log_determinant
from mfmgdm_lib.processes import Independent, WhiteNoise
from mfmgdm_lib.processes.base import generator
from mfmgdm_lib.target import Target

__all__ = [
    "TEXTURE_FIELDS",
    "TEXTURE_MODELS",
    "entropy_curve",
    "gravel_patches",
    "gravel_units",
    "stored_fields",
    "texture_fields",
    "texture_target",
]

TEXTURE_MODELS = {"mgdm": 1, "mf": None}
"""Fields in each ensemble of a model; None for all that move together."""

TEXTURE_FIELDS = {128: 12, 256: 12}
"""Fields of each model that are made, by their side."""

KIND = "fields of a texture"
"""What the stored file of fields says that it holds."""

_SIDE = 128
_DURATION = 1e4


def gravel_units() -> tuple[float, float]:
    """Return the mean and the standard deviation of the grey levels of the photograph.

    Example:
        >>> [round(value, 1) for value in gravel_units()]
        [126.5, 38.7]
    """
    values = texture("gravel").values
    return float(values.mean()), float(values.std(correction=0))


def gravel_patches(side: int = _SIDE) -> tuple[Tensor, Tensor]:
    """Return standardised patches of the photograph to train with and to test with, (n, side, side) each.

    Its 16 squares of 128² are divided as on a chessboard; smaller patches are cut out of these.

    Args:
        side: H = W, a divisor of 128.

    Example:
        >>> [tuple(patches.shape) for patches in gravel_patches()]
        [(8, 128, 128), (8, 128, 128)]
    """
    mean, stddev = gravel_units()
    squares = cut_patches(texture("gravel"), _SIDE)
    return tuple(  # type: ignore[return-value]
        (torch.cat([cut_patches(square, side) for square in half]) - mean) / stddev
        for half in checkerboard(squares, columns=4)
    )


@checked
def texture_target(side: int = _SIDE) -> tuple[Energy, Target]:
    """Return the energy of fields of a side and its target, from the patches to train with.

    Energies are means over a field: what patches of 128² have is the target of fields of 256² as well.

    Example:
        >>> energy, target = texture_target(32)
        >>> energy.dim, target
        (44, Target(44 energies from 128 patches of 32 × 32))
    """
    patches, _ = gravel_patches(min(side, _SIDE))
    octaves = None if side <= _SIDE else 5
    target = field_target(texture_energy((min(side, _SIDE),) * 2, octaves=octaves), patches)
    return texture_energy((side, side), octaves=octaves), target


@checked
def texture_fields(
    model: str, side: int, n_fields: int | None = None, seed: tuple[int, ...] = (2, 12345)
) -> tuple[Tensor, pd.DataFrame]:
    """Make fields like the photograph by the gradient flow of a model, the limit of small steps, from white noise.

    Args:
        model: "mgdm" or "mf".
        side: H = W.
        n_fields: how many; None for those that are stored.
        seed: of the white noise.

    Returns:
        Fields (n, side, side), standardised, float32; and a row for each step with the `time` and the `loss`.

    Example:
        >>> fields, steps = texture_fields("mf", 32, n_fields=16)
        >>> bool(steps["loss"].iloc[-1] < 1e-3 * steps["loss"].iloc[0])
        True
    """
    if n_fields is None and side not in TEXTURE_FIELDS:
        raise ValueError(
            f"side is {side!r}; expected one of {', '.join(map(str, TEXTURE_FIELDS))}. Choose one of them."
        )
    energy, target = texture_target(side)
    n_fields = TEXTURE_FIELDS[side] if n_fields is None else n_fields
    x0 = Independent(WhiteNoise(), (side, side)).sample(n_fields, (side, side), seed).float()
    flow = GradientFlow(energy, target, relative_tolerance=0.2, gram_paths=8, ensemble_size=TEXTURE_MODELS[model])
    rows = []
    for state in flow.steps(x0, _DURATION * side**2):
        rows.append({"step": state.step, "time": state.time, "loss": float(state.loss.mean())})
    return state.paths, pd.DataFrame(rows).set_index("step")


@checked
def entropy_curve(
    model: str,
    n_fields: int = 4,
    looked_at: tuple[int, ...] = (0, 10, 30, 80, 160),
    seed: tuple[int, ...] = (2, 12345),
) -> pd.DataFrame:
    """Follow what a model's descent does to the entropy of fields of 32², from white noise, in nats per point.

    The energy is whitened under white noise, without which a descent with one step size takes many thousands of steps.
    The step size makes the largest eigenvalue of a step's Gram matrix 0.2 at the texture. Determinants are stochastic,
    of a few steps, and sums over steps are by the trapezoidal rule.

    Args:
        model: "mgdm" or "mf".
        n_fields: how many.
        looked_at: the steps whose determinants are estimated, from 0 on.
        seed: of the fields.

    Returns:
        A row for each step looked at: the `loss` before it, relative to the target of the whitened energy; `blocks`,
        `capacitance` and `change`, what the steps before it did to the entropy, in nats per point; the standard
        `error` of the change, without that of the rule; and `folded`, eigenvalues of its determinant not above 0.

    Example:
        >>> curve = entropy_curve("mf", n_fields=4, looked_at=(0, 2))
        >>> list(curve.index), bool(curve.loc[2, "capacitance"] < 0)
        ([0, 2], True)
    """
    check_member("model", model, tuple(TEXTURE_MODELS))
    side = 32
    patches, _ = gravel_patches(side)
    law = Independent(WhiteNoise(), (side, side))
    energy = Whitening.fit(texture_energy((side, side)), law, n_samples=1000, length=(side, side), seed=(1, 12345))
    target = field_target(energy, patches)
    rows = energy.jacobian(patches[:32]).flatten(2)
    largest = float(torch.linalg.eigvalsh((rows @ rows.mT).mean(0))[-1])
    step_size = 0.2 / largest * float(target.mean.square().sum())
    descent = Descent(energy, target, step_size, ensemble_size=TEXTURE_MODELS[model])
    x0 = law.sample(n_fields, (side, side), seed)
    found, rng = [], generator((5, 12345))
    for state in descent.steps(x0, looked_at[-1]):
        if state.step in looked_at:
            determinant = log_determinant(descent, state, Stochastic(tolerance=0.05), seed=rng)
            found.append(
                {
                    "step": state.step,
                    "loss": float(state.loss.mean()),
                    "blocks": float(determinant.blocks.mean()) / side**2,
                    "capacitance": float(determinant.capacitance.sum()) / n_fields / side**2,
                    "error": determinant.mean_error / side**2,
                    "folded": int(determinant.non_positive.sum()),
                }
            )
    return _summed(pd.DataFrame(found).set_index("step"))


def _summed(rates: pd.DataFrame) -> pd.DataFrame:
    """Sums over steps, by the trapezoidal rule, of what single steps do to the entropy."""
    curve, steps = rates.copy(), rates.index.to_numpy(dtype=float)
    for part in ("blocks", "capacitance"):
        curve[part] = cumulative_trapezoid(rates[part], steps, initial=0.0)
    gaps = np.diff(steps)
    weights = 0.5 * (np.append(gaps, 0.0) + np.append(0.0, gaps))
    curve["change"] = curve["blocks"] + curve["capacitance"]
    curve["error"] = np.sqrt(np.cumsum((weights * rates["error"].to_numpy()) ** 2))
    return curve[["loss", "blocks", "capacitance", "change", "error", "folded"]]


def stored_fields() -> dict[str, Tensor]:
    """Return some stored fields like the photograph, 0 to 255, (n, H, W) uint8, by name, such as "mf-128".

    Raises:
        FileNotFoundError: an installation that has lost the file.

    Example:
        >>> sorted(stored_fields())
        ['mf-128', 'mf-256', 'mgdm-128', 'mgdm-256']
    """
    return {
        name: torch.from_numpy(array)
        for name, array in load_arrays(results_folder() / "texture_fields.npz", KIND).items()
    }
