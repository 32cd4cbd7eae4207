"""Handlers and loader of Alpha158: 158 features of price and volume over 5 to 60 days, and a label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..feature_sets import alpha158
from ..loader import QlibDataLoader
from .feature_set import FeatureSetHandler

__all__ = ["Alpha158", "Alpha158DL", "Alpha158vwap"]


class Alpha158(FeatureSetHandler):
    """The 158 features, and the return from tomorrow's to the day after tomorrow's close as label ``LABEL0``.

    By default nothing is done to the features; for learning, rows without a label are dropped and the label is
    standardised by date. Parameters: see `FeatureSetHandler`.
    """

    def get_feature_config(self) -> tuple[list[str], list[str]]:
        """Return expressions and names of the features."""
        return Alpha158DL.get_feature_config()

    def get_label_config(self) -> tuple[list[str], list[str]]:
        """Return expressions and names of the labels."""
        return alpha158.label()


class Alpha158vwap(Alpha158):
    """Alpha158 with the label on volume-weighted average prices."""

    def get_label_config(self) -> tuple[list[str], list[str]]:
        """Return expressions and names of the labels."""
        return alpha158.vwap_label()


class Alpha158DL(QlibDataLoader):
    """Loads the 158 features as group ``feature``, and the further groups of `config`.

    Parameters
    ----------
    config : mapping, optional
        Further column groups, such as ``label``; a group ``feature`` replaces the 158.
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
    def get_feature_config(config: dict[str, Any] | None = None) -> tuple[list[str], list[str]]:
        """Return expressions and names of the features that `config` chooses (default: the 158)."""
        return alpha158.fields(config)
