"""Paths and fields written to files, all at once or in batches."""

from mfmgdm_lib.io.fields import field_report_text, save_fields, save_tiles
from mfmgdm_lib.io.files import save_figure
from mfmgdm_lib.io.paths import paths_table, report_text, save_forecast, save_paths
from mfmgdm_lib.io.streaming import stream_paths

__all__ = [
    "field_report_text",
    "paths_table",
    "report_text",
    "save_fields",
    "save_figure",
    "save_forecast",
    "save_paths",
    "save_tiles",
    "stream_paths",
]
