"""The paper's two models, MGDM and MF–MGDM: descents that can be sampled from and frozen into a flow."""

from __future__ import annotations

from torch import Tensor
from torch.distributions import constraints

from mfmgdm_lib.descents import Descent
from mfmgdm_lib.energies import Energy
from mfmgdm_lib.flows import FrozenFlow, freeze
from mfmgdm_lib.processes import Process
from mfmgdm_lib.specification import from_spec, register, spec
from mfmgdm_lib.support import REAL_LINE
from mfmgdm_lib.target import Target

__all__ = ["MFMGDM", "MGDM", "Model", "from_spec", "register", "spec"]  # where all of the library is registered


@register
class Model(Descent):
    """A descent that can be frozen into a flow; it takes the arguments of `Descent`."""

    def freeze(self, x0: Tensor, n_steps: int, start: Process | None = None) -> FrozenFlow:
        """Run the descent once, and keep the path of its mean mismatch: a normalizing flow of independent paths.

        Of MGDM nothing is kept but the model, for there every path has a mismatch of its own.

        Args:
            x0: the ensemble (N, time) that the mean is taken over, drawn from `start`.
            n_steps: number of steps T.
            start: the law q_0 of `x0`; None stands for `WhiteNoise()`, the paper's start on the real line.

        Returns:
            The flow; see `FrozenFlow`.

        Raises:
            ValueError: a mean or spread of x0 that is not that of `start` by more than 6 standard errors (where there
                are enough paths to tell), another support, several inner steps, or several ensembles.
            DivergedError: an energy stopped being finite; the error names the step.

        Example:
            >>> import mfmgdm_lib as mm
            >>> process, energy = mm.processes.AR([0.1]), mm.energies.Autocovariance()
            >>> target = mm.estimate_target(energy, process, n_samples=1000, length=64, seed=1)
            >>> model, start = mm.MFMGDM(energy, target, step_size=1.0), mm.processes.WhiteNoise()
            >>> model.freeze(start.sample(128, 64, seed=2), n_steps=50, start=start)
            FrozenFlow(Autocovariance(), 50 steps of size 1 from WhiteNoise(mean=0, stddev=1), 64 points)
        """
        return freeze(self, x0, n_steps, start)


@register
class MGDM(Model):
    """Microcanonical gradient descent, paper eq. (3): every path answers for itself.

    Example:
        >>> import mfmgdm_lib as mm
        >>> process, energy = mm.processes.AR([0.1]), mm.energies.Autocovariance()
        >>> target = mm.estimate_target(energy, process, n_samples=1000, seed=1)
        >>> x0 = mm.initial_distribution(process).sample(8, 1024, seed=2)
        >>> paths = mm.MGDM(energy, target, step_size=10.0).sample(x0, n_steps=50)
        >>> paths.shape
        torch.Size([8, 1024])
    """

    def __init__(
        self,
        energy: Energy,
        target: Target,
        step_size: float,
        *,
        support: constraints.Constraint = REAL_LINE,
        inner_steps: int = 1,
    ) -> None:
        super().__init__(energy, target, step_size, ensemble_size=1, support=support, inner_steps=inner_steps)


@register
class MFMGDM(Model):
    """Mean-field microcanonical gradient descent, paper eq. (6): an ensemble moves by its mean energy.

    With `ensemble_size` the paths are cut, in order, into ensembles of that size (Figure 4).

    Example:
        >>> import mfmgdm_lib as mm
        >>> process, energy = mm.processes.AR([0.1]), mm.energies.Autocovariance()
        >>> target = mm.estimate_target(energy, process, n_samples=1000, seed=1)
        >>> x0 = mm.initial_distribution(process).sample(8, 1024, seed=2)
        >>> model = mm.MFMGDM(energy, target, step_size=10.0)
        >>> losses = [float(state.loss.mean()) for state in model.steps(x0, n_steps=50)]
        >>> losses[0] > losses[-1]
        True
    """
