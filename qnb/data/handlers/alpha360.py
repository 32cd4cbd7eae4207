"""Handlers and loader of Alpha360: 60 days of prices and volume, each over today's, and a label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..feature_sets import alpha360
from ..loader import QlibDataLoader
from .feature_set import FeatureSetHandler

__all__ = ["Alpha360", "Alpha360DL", "Alpha360vwap"]


class Alpha360(FeatureSetHandler):
    """The 360 features, and the return from tomorrow's to the day after tomorrow's close as label ``LABEL0``.

    By default infinities become the day's mean, all columns are standardised by the fit window (so it must be given)
    and NaN becomes 0; for learning, rows without a label are dropped and the label is standardised by date.
    Parameters: see `FeatureSetHandler`.
    """

    default_infer = ({"class": "ProcessInf"}, {"class": "ZScoreNorm"}, {"class": "Fillna"})

    def get_feature_config(self) -> tuple[list[str], list[str]]:
        """Return expressions and names of the features."""
        return Alpha360DL.get_feature_config()

    def get_label_config(self) -> tuple[list[str], list[str]]:
        """Return expressions and names of the labels."""
        return alpha360.label()


class Alpha360vwap(Alpha360):
    """Alpha360 with the label on volume-weighted average prices."""

    def get_label_config(self) -> tuple[list[str], list[str]]:
        """Return expressions and names of the labels."""
        return alpha360.vwap_label()


class Alpha360DL(QlibDataLoader):
    """Loads the 360 features as group ``feature``, and the further groups of `config`.

    Parameters
    ----------
    config : mapping, optional
        Further column groups, such as ``label``; a group ``feature`` replaces the 360.
    filter_pipe, swap_level, freq, inst_processors
        See `QlibDataLoader`.
    """

    def __init__(
        self,
        config: dict[str, Any] | None = None,
        filter_pipe: Sequence[Any] | None = None,
        swap_level: bool = True,
        freq: Any = "day",
        inst_processors: Any = None,
    ) -> None:
        fields = {"feature": self.get_feature_config(), **(config or {})}
        super().__init__(fields, filter_pipe, swap_level, freq, inst_processors)

    @staticmethod
    def get_feature_config() -> tuple[list[str], list[str]]:
        """Return expressions and names of the features."""
        return alpha360.fields()
