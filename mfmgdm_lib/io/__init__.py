"""Paths written to files, all at once or in batches."""

from mfmgdm_lib.io.files import save_figure
from mfmgdm_lib.io.paths import paths_table, report_text, save_forecast, save_paths
from mfmgdm_lib.io.streaming import stream_paths

__all__ = ["paths_table", "report_text", "save_figure", "save_forecast", "save_paths", "stream_paths"]
