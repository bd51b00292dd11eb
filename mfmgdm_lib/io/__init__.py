"""Paths into files that other programs read, all at once or a batch at a time."""

from mfmgdm_lib.io.files import report_text, save_figure, save_paths
from mfmgdm_lib.io.streaming import stream_paths

__all__ = ["report_text", "save_figure", "save_paths", "stream_paths"]
