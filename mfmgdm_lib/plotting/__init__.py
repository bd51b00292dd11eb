"""The style of all figures, and the figures of a generation: its report, and prices that go on from a series."""

from mfmgdm_lib.plotting.prices import price_fan
from mfmgdm_lib.plotting.report import generation_report
from mfmgdm_lib.plotting.style import COLOURS

__all__ = ["COLOURS", "generation_report", "price_fan"]
