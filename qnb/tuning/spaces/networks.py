"""Spaces of networks and of linear models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ._base import NamedSpace

__all__ = ["LinearSpace", "MLPSpace", "RecurrentSpace"]


class MLPSpace(NamedSpace):
    """Learning rate, weight decay and batch size of the feed-forward network."""

    classes: ClassVar[tuple[str, ...]] = ("DNNModelPytorch",)
    values: ClassVar[Mapping[str, Any]] = {
        "lr": {"low": 1e-4, "high": 1e-2, "log": True},
        "weight_decay": {"low": 1e-6, "high": 1e-2, "log": True},
        "batch_size": {"choices": [1024, 2048, 4096, 8192]},
    }


class RecurrentSpace(NamedSpace):
    """Size, layers, dropout and learning rate of LSTM, GRU and ALSTM."""

    classes: ClassVar[tuple[str, ...]] = ("LSTM", "GRU", "ALSTM")
    values: ClassVar[Mapping[str, Any]] = {
        "hidden_size": {"choices": [32, 64, 128]},
        "num_layers": {"low": 1, "high": 3},
        "dropout": {"low": 0.0, "high": 0.5},
        "lr": {"low": 1e-4, "high": 1e-2, "log": True},
    }


class LinearSpace(NamedSpace):
    """Strength of the penalty of the ridge regression."""

    classes: ClassVar[tuple[str, ...]] = ("LinearModel",)
    values: ClassVar[Mapping[str, Any]] = {
        "estimator": {"choices": ["ridge"]},
        "alpha": {"low": 1e-3, "high": 1e4, "log": True},
    }
