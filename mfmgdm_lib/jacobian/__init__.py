"""Log-determinants of a descent step: one question, several ways to answer it."""

from __future__ import annotations

from mfmgdm_lib._checks import check_member
from mfmgdm_lib.descent import Descent, State
from mfmgdm_lib.energies import BandedEnergy
from mfmgdm_lib.jacobian.dense import dense_blocks
from mfmgdm_lib.jacobian.lemma import StepDeterminant, apply_lemma
from mfmgdm_lib.jacobian.structured import structured_blocks

__all__ = ["StepDeterminant", "choose_backend", "log_determinant"]


def choose_backend(model: Descent, backend: str = "auto") -> str:
    """Return the backend that `backend` stands for: "auto" is "structured" where the Hessians are banded, else "dense".

    Raises:
        ValueError: an unknown name, or "structured" for an energy without banded Hessians.
    """
    check_member("jacobian", backend, ("auto", "structured", "dense"))
    banded = isinstance(model.energy, BandedEnergy)
    if backend == "structured" and not banded:
        raise ValueError(
            f"jacobian is 'structured' for {model.energy!r}; expected an energy with banded Hessians. Use 'dense'."
        )
    if backend == "auto":
        return "structured" if banded else "dense"
    return backend


def log_determinant(model: Descent, state: State, backend: str = "auto") -> StepDeterminant:
    r"""Log-determinant of the Jacobian of the step from `state`, exactly (paper Section 3.2 and Appendix A).

    Within an ensemble of M paths the Jacobian is block-diagonal minus a term of rank K,

    .. math:: J = \operatorname{diag}_n A_n - \frac{\gamma}{M} \mathcal J^\top \mathcal J, \qquad
              A_n = I - \gamma \sum_k \bar r_k H_k(x^{(n)}), \quad
              \mathcal J = [J_\Phi(x^{(1)}) \cdots J_\Phi(x^{(M)})]

    with the mismatch r̄ = Φ̄ − α, and the determinant lemma turns it into

    .. math:: \det J = \prod_n \det A_n \cdot
              \det\Bigl(I_K - \frac{\gamma}{M} \sum_n J_\Phi(x^{(n)}) A_n^{-1} J_\Phi(x^{(n)})^\top\Bigr).

    The last matrix is the capacitance matrix. All is calculated in float64, whatever the dtype of the paths.

    Args:
        model: the descent.
        state: where it stands, from `model.evaluate` or `model.steps`.
        backend: "structured" (banded factorisation, O(d) for each path, on the host), "dense" (automatic
            differentiation, O(d³), the reference) or "auto".

    Returns:
        The determinant, in its parts, on the device of the paths.

    Example:
        >>> import mfmgdm_lib as mm
        >>> process, energy = mm.processes.AR([0.1]), mm.energies.Autocovariance()
        >>> target = mm.estimate_target(energy, process, n_samples=1000, length=64, seed=1)
        >>> model = mm.MFMGDM(energy, target, step_size=1.0)
        >>> state = model.evaluate(process.sample(3, 64, seed=2))
        >>> exact, reference = (mm.log_determinant(model, state, b) for b in ("structured", "dense"))
        >>> bool(abs(exact.per_path - reference.per_path).max() < 1e-10)
        True
    """
    weights = model.rate * state.mismatch
    if choose_backend(model, backend) == "structured":
        assert isinstance(model.energy, BandedEnergy)  # `choose_backend` has made sure
        blocks = structured_blocks(model.energy, state.paths, weights)
    else:
        blocks = dense_blocks(model.energy, state.paths, weights)
    return apply_lemma(blocks, model.rate, model.members(len(state.paths)))
