"""The style of all figures, and those of generations, of prices that go on from a series, and of back-tests."""

from mfmgdm_lib.plotting.backtests import backtest_figure
from mfmgdm_lib.plotting.fields import field_report
from mfmgdm_lib.plotting.prices import price_fan
from mfmgdm_lib.plotting.report import generation_report
from mfmgdm_lib.plotting.style import COLOURS

__all__ = ["COLOURS", "backtest_figure", "field_report", "generation_report", "price_fan"]
