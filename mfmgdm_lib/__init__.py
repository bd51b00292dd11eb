"""The public names of the library, each loaded when it is first used.

To import it sets the environment variable GOMP_SPINCOUNT, unless that is set, so that waiting threads of OpenMP do not
keep cores from other programs; and tells GNU's allocator to keep half a GB of freed memory, unless a variable MALLOC_…
is set. `MFMGDM_TUNE=0` in the environment leaves both alone.
"""

from mfmgdm_lib import _environment as _environment
from mfmgdm_lib._lazy import lazy_names

__version__ = "0.1.0"

_MOVED = {
    "DivergenceRun": "mfmgdm_lib.divergence.divergence_run",
    "analytic": "mfmgdm_lib.companion.closed_forms",
    "experiments": "mfmgdm_lib.companion",
    "figures": "mfmgdm_lib.companion.figures",
    "paper": "mfmgdm_lib.companion.paper",
    "sharding": "mfmgdm_lib.distributed",
}
"""Names of release 0.1, and where they are now."""

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__, _MOVED)
