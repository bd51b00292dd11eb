"""The style of all figures, and the figure of a generation's report."""

from mfmgdm_lib.plotting.report import generation_report
from mfmgdm_lib.plotting.style import COLOURS

__all__ = ["COLOURS", "generation_report"]
