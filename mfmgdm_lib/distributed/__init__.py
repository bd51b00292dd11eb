"""One ensemble whose paths are distributed over processes, which exchange only sums."""

from mfmgdm_lib.distributed.descent import ShardDeterminant, ShardedDescent
from mfmgdm_lib.distributed.running import Checkpoints, ShardedRun, follow
from mfmgdm_lib.distributed.shard import LostProcessError, Shard, join

__all__ = [
    "Checkpoints",
    "LostProcessError",
    "Shard",
    "ShardDeterminant",
    "ShardedDescent",
    "ShardedRun",
    "follow",
    "join",
]
