"""Base of the handlers that load a fixed set of features and a label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ...config import Settings
from ..handler import DataHandlerLP
from ..loader import QlibDataLoader
from ..pipeline import ProcessType

__all__ = ["LEARN_PROCESSORS", "FeatureSetHandler"]

LEARN_PROCESSORS: tuple[dict[str, Any], ...] = (
    {"class": "DropnaLabel"},
    {"class": "CSZScoreNorm", "kwargs": {"fields_group": "label"}},
)
"""Rows without a label are dropped, the label is standardised by date."""


class FeatureSetHandler(DataHandlerLP):
    """Loads the group ``feature`` of `get_feature_config` and the group ``label`` of `get_label_config`.

    Parameters
    ----------
    instruments, start_time, end_time, process_type, fit_start_time, fit_end_time, shared_processors, drop_raw, store,
    settings
        See `DataHandlerLP`.
    freq : str or mapping
        Frequency of the data, or one for each column group.
    infer_processors, learn_processors : list, optional
        See `DataHandlerLP`; None means the set's own defaults, an empty list none.
    filter_pipe : list, optional
        Filters of the universe.
    inst_processors : list or mapping, optional
        Processors of each instrument's frame, for all column groups or by group.
    label : list, optional
        ``[expression, ...]`` or ``[[expression, ...], [name, ...]]``; default: `get_label_config`.
    """

    default_infer: ClassVar[tuple[dict[str, Any], ...]] = ()
    default_learn: ClassVar[tuple[dict[str, Any], ...]] = LEARN_PROCESSORS

    def __init__(
        self,
        instruments: Any = "csi500",
        start_time: Any = None,
        end_time: Any = None,
        freq: Any = "day",
        infer_processors: Sequence[Any] | None = None,
        learn_processors: Sequence[Any] | None = None,
        fit_start_time: Any = None,
        fit_end_time: Any = None,
        process_type: ProcessType = "append",
        filter_pipe: Sequence[Any] | None = None,
        inst_processors: Any = None,
        label: Any = None,
        shared_processors: Sequence[Any] = (),
        drop_raw: bool = False,
        init_data: bool = True,
        fetch_orig: bool = True,
        *,
        store: Any = None,
        settings: Settings | None = None,
    ) -> None:
        self.freq, self.filter_pipe, self.inst_processors, self.label = freq, filter_pipe, inst_processors, label
        fields = {"feature": self.get_feature_config(), "label": self.get_label_config() if label is None else label}
        super().__init__(
            instruments,
            start_time,
            end_time,
            QlibDataLoader(fields, filter_pipe=filter_pipe, freq=freq, inst_processors=inst_processors),
            infer_processors=self.default_infer if infer_processors is None else infer_processors,
            learn_processors=self.default_learn if learn_processors is None else learn_processors,
            shared_processors=shared_processors,
            process_type=process_type,
            drop_raw=drop_raw,
            fit_start_time=fit_start_time,
            fit_end_time=fit_end_time,
            init_data=init_data,
            fetch_orig=fetch_orig,
            store=store,
            settings=settings,
        )

    def get_feature_config(self) -> tuple[list[str], list[str]]:
        """Return expressions and names of the features."""
        raise NotImplementedError(f"{type(self).__name__} has no get_feature_config()")

    def get_label_config(self) -> tuple[list[str], list[str]]:
        """Return expressions and names of the labels."""
        raise NotImplementedError(f"{type(self).__name__} has no get_label_config()")
