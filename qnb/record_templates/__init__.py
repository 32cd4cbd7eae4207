"""Records: what is computed from a fitted model and kept by the recorder."""

from ._base import Recorded, RecordTemplate

__all__ = ["RecordTemplate", "Recorded"]
