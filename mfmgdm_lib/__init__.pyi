# Where each public name comes from: type checkers read this file, and __init__.py loads names by it.

from mfmgdm_lib import companion as companion
from mfmgdm_lib import data as data
from mfmgdm_lib import distributed as distributed
from mfmgdm_lib import energies as energies
from mfmgdm_lib import errors as errors
from mfmgdm_lib import io as io
from mfmgdm_lib import plotting as plotting
from mfmgdm_lib import processes as processes
from mfmgdm_lib import runs as runs
from mfmgdm_lib import statistics as statistics
from mfmgdm_lib.descents import Descent as Descent
from mfmgdm_lib.descents import FlowState as FlowState
from mfmgdm_lib.descents import GradientFlow as GradientFlow
from mfmgdm_lib.descents import State as State
from mfmgdm_lib.divergence import DivergenceTrace as DivergenceTrace
from mfmgdm_lib.divergence import divergence_run as divergence_run
from mfmgdm_lib.divergence import reverse_kl_trace as reverse_kl_trace
from mfmgdm_lib.flows import FrozenFlow as FrozenFlow
from mfmgdm_lib.flows import FrozenState as FrozenState
from mfmgdm_lib.generation import Generation as Generation
from mfmgdm_lib.generation import generate as generate
from mfmgdm_lib.io import stream_paths as stream_paths
from mfmgdm_lib.log_determinants import Determinants as Determinants
from mfmgdm_lib.log_determinants import StepDeterminant as StepDeterminant
from mfmgdm_lib.log_determinants import Stochastic as Stochastic
from mfmgdm_lib.log_determinants import log_determinant as log_determinant
from mfmgdm_lib.models import MFMGDM as MFMGDM
from mfmgdm_lib.models import MGDM as MGDM
from mfmgdm_lib.models import Model as Model
from mfmgdm_lib.models import from_spec as from_spec
from mfmgdm_lib.models import register as register
from mfmgdm_lib.models import spec as spec
from mfmgdm_lib.processes import Fit as Fit
from mfmgdm_lib.processes import fit_argarch as fit_argarch
from mfmgdm_lib.processes import fit_student as fit_student
from mfmgdm_lib.processes import initial_distribution as initial_distribution
from mfmgdm_lib.processes import starting_law as starting_law
from mfmgdm_lib.runs import ResultStore as ResultStore
from mfmgdm_lib.support import Interval as Interval
from mfmgdm_lib.support import Move as Move
from mfmgdm_lib.support import Support as Support
from mfmgdm_lib.target import Target as Target
from mfmgdm_lib.target import estimate_target as estimate_target
from mfmgdm_lib.target import target_from_data as target_from_data

__version__: str
