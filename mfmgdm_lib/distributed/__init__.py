"""One ensemble whose paths are distributed over processes, which exchange only sums."""

from mfmgdm_lib.distributed.running import Checkpoints, follow, shared_run
from mfmgdm_lib.distributed.shard import LostProcessError, Shard, SharedEnsemble, join

__all__ = [
    "Checkpoints",
    "LostProcessError",
    "Shard",
    "SharedEnsemble",
    "follow",
    "join",
    "shared_run",
]
