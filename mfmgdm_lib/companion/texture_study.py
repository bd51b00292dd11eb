"""Fields like the photograph of gravel by both models: how they are made, tested and stored."""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor

from mfmgdm_lib._arrays import load_arrays
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

TEXTURE_FIELDS = {128: 12, 256: 3}
"""Fields of each model that are made, by their side."""

KIND = "fields of a texture"
"""What the stored file of fields says that it holds."""

_SIDE = 128
_DURATION = 1e4


def gravel_units() -> tuple[float, float]:
    """Return the mean and the standard deviation of the grey levels of the photograph.

    Example:
        >>> [round(value, 1) for value in gravel_units()]
        [126.5, 37.5]
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
    energy, target = texture_target(side)
    n_fields = TEXTURE_FIELDS[side] if n_fields is None else n_fields
    x0 = Independent(WhiteNoise(), (side, side)).sample(n_fields, (side, side), seed).float()
    flow = GradientFlow(energy, target, relative_tolerance=0.2, gram_paths=8, ensemble_size=TEXTURE_MODELS[model])
    rows = []
    for state in flow.steps(x0, _DURATION * side**2):
        rows.append({"step": state.step, "time": state.time, "loss": float(state.loss.mean())})
    return state.paths, pd.DataFrame(rows).set_index("step")


def entropy_curve(
    model: str, n_fields: int = 16, n_steps: int = 400, every: int = 20, seed: tuple[int, ...] = (2, 12345)
) -> pd.DataFrame:
    """Follow what a model's descent does to the entropy of fields of 32², from white noise, in nats per point.

    The energy is whitened under white noise, without which a descent with one step size takes many thousands of steps.
    The step size makes the largest eigenvalue of a step's Gram matrix 0.2 at the texture. Determinants are stochastic,
    and of every twentieth step; those between are taken to be alike.

    Args:
        model: "mgdm" or "mf".
        n_fields: how many.
        n_steps: T.
        every: distance of the steps whose determinants are looked at.
        seed: of the fields.

    Returns:
        A row for each step looked at: the `loss` before it, relative to the target of the whitened energy; `blocks`,
        `capacitance` and `change`, what all steps up to its end did to the entropy, in nats per point; the standard
        `error` of the change; and `folded`, eigenvalues not above 0 in all steps looked at so far.

    Example:
        >>> curve = entropy_curve("mf", n_fields=4, n_steps=4, every=2)
        >>> list(curve.index), bool((curve["capacitance"] < 0).all())
        ([0, 2], True)
    """
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
    rows_of, rng = [], generator((5, 12345))
    for state in descent.steps(x0, n_steps - every):
        if state.step % every:
            continue
        found = log_determinant(descent, state, Stochastic(), seed=rng)
        rows_of.append(
            {
                "step": state.step,
                "loss": float(state.loss.mean()),
                "blocks": float(found.blocks.mean()),
                "capacitance": float(found.capacitance.sum()) / n_fields,
                "variance": found.mean_error**2,
                "folded": int(found.non_positive.sum()),
            }
        )
    curve = pd.DataFrame(rows_of).set_index("step")
    scale = every / side**2
    curve[["blocks", "capacitance"]] = scale * curve[["blocks", "capacitance"]].cumsum()
    curve["folded"] = curve["folded"].cumsum()
    curve["change"] = curve["blocks"] + curve["capacitance"]
    curve["error"] = scale * curve.pop("variance").cumsum() ** 0.5
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
