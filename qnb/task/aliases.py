"""The one table that says what a dotted path of the peer's workflows means here.

A module of the peer belongs to one kind of component; its classes keep their names here, apart from those in `RENAMED`.
The time-series twins of the torch models carry the same class name in a module of their own there; here their names
end in ``TS``.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import UnknownNameError

__all__ = ["MODULES", "NOT_THERE", "RENAMED", "alias", "is_peer_path"]

_TORCH = (
    "adarnn", "add", "alstm", "gats", "general_nn", "gru", "hist", "igmtf", "krnn", "localformer", "lstm", "nn",
    "sandwich", "sfm", "tabnet", "tcn", "tcts", "tra", "transformer",
)  # fmt: skip
_TORCH_TS = ("alstm", "gats", "gru", "localformer", "lstm", "tcn", "transformer")

MODULES: Mapping[str, str] = {
    "qlib.contrib.model": "model",
    "qlib.contrib.model.gbdt": "model",
    "qlib.contrib.model.xgboost": "model",
    "qlib.contrib.model.catboost_model": "model",
    "qlib.contrib.model.linear": "model",
    "qlib.contrib.model.double_ensemble": "model",
    **{f"qlib.contrib.model.pytorch_{name}": "model" for name in _TORCH},
    **{f"qlib.contrib.model.pytorch_{name}_ts": "model" for name in _TORCH_TS},
    "qlib.data.dataset": "dataset",
    "qlib.contrib.data.dataset": "dataset",
    "qlib.data.dataset.handler": "handler",
    "qlib.contrib.data.handler": "handler",
    "qlib.data.dataset.loader": "loader",
    "qlib.contrib.data.loader": "loader",
    "qlib.data.dataset.processor": "processor",
    "qlib.contrib.data.processor": "processor",
    "qlib.data.dataset.weight": "reweighter",
    "qlib.data.filter": "filter",
    "qlib.data.ops": "operator",
    "qlib.contrib.ops.high_freq": "operator",
    "qlib.workflow.record_temp": "record",
    "qlib.contrib.workflow": "record",
    "qlib.contrib.workflow.record_temp": "record",
    "qlib.contrib.strategy": "strategy",
    "qlib.contrib.strategy.strategy": "strategy",
    "qlib.contrib.strategy.signal_strategy": "strategy",
    "qlib.contrib.strategy.rule_strategy": "strategy",
    "qlib.contrib.strategy.cost_control": "strategy",
}
"""Module of the peer -> kind of component."""

RENAMED: Mapping[tuple[str, str], tuple[str, str]] = {
    **{
        (f"qlib.contrib.model.pytorch_{module}_ts", name): ("model", f"{name}TS")
        for module, name in (
            ("alstm", "ALSTM"), ("gats", "GATs"), ("gru", "GRU"), ("localformer", "LocalformerModel"),
            ("lstm", "LSTM"), ("tcn", "TCN"), ("transformer", "TransformerModel"),
        )
    },
    **{
        (f"qlib.contrib.model.pytorch_{module}", name): ("network", here)
        for modules, name, here in (
            (("nn",), "Net", "Net"),
            (("gru", "gru_ts"), "GRUModel", "GRUModel"),
            (("lstm", "lstm_ts"), "LSTMModel", "LSTMModel"),
            (("alstm", "alstm_ts"), "ALSTMModel", "ALSTMModel"),
            (("gats", "gats_ts"), "GATModel", "GATModel"),
            (("tcn", "tcn_ts"), "TCNModel", "TCNModel"),
            (("transformer", "transformer_ts"), "Transformer", "Transformer"),
            (("localformer", "localformer_ts"), "Transformer", "Localformer"),
        )
        for module in modules
    },
}  # fmt: skip
"""(module, class) of the peer -> (kind, name here), where the name differs or the kind is not the module's."""


NOT_THERE = frozenset(
    ("ADARNN", "ADD", "HFLGBModel", "HIST", "IGMTF", "KRNN", "MTSDatasetH", "SFM", "Sandwich", "TCTS", "TRAModel")
)
"""Classes of the peer without a counterpart, so that none is mistaken for a misspelt name of ours."""


def is_peer_path(module: str) -> bool:
    """Return whether `module` is a module of the peer."""
    return module == "qlib" or module.startswith("qlib.")


def alias(module: str, name: str) -> tuple[str, str]:
    """Return (kind, name here) of class `name` in the peer's `module`.

    Raises
    ------
    UnknownNameError
        For a module that has no counterpart, with the nearest that has one.

    Examples
    --------
    >>> alias("qlib.contrib.model.gbdt", "LGBModel")
    ('model', 'LGBModel')
    >>> alias("qlib.contrib.model.pytorch_lstm_ts", "LSTM")
    ('model', 'LSTMTS')
    """
    if (module, name) in RENAMED:
        return RENAMED[module, name]
    if module in MODULES:
        return MODULES[module], name
    raise UnknownNameError("module", module, MODULES, hint="this qlib module has no counterpart in qnb")
