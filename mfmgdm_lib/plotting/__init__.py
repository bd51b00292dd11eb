"""The style of all figures, and the report that goes with generated paths."""

from mfmgdm_lib.plotting.report import generation_report
from mfmgdm_lib.plotting.style import COLOURS

__all__ = ["COLOURS", "generation_report"]
