"""Spaces of the libraries of boosted trees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ._base import NamedSpace

__all__ = ["CatBoostSpace", "LightGBMSpace", "XGBoostSpace"]


class LightGBMSpace(NamedSpace):
    """Leaves, depth, learning rate, sampling and both penalties of LightGBM, around what the peer's benchmarks use."""

    classes: ClassVar[tuple[str, ...]] = ("LGBModel",)
    values: ClassVar[Mapping[str, Any]] = {
        "learning_rate": {"low": 0.02, "high": 0.3, "log": True},
        "num_leaves": {"low": 16, "high": 256, "log": True},
        "max_depth": {"low": 4, "high": 10},
        "colsample_bytree": {"low": 0.4, "high": 1.0},
        "lambda_l1": {"low": 0.1, "high": 1000.0, "log": True},
        "lambda_l2": {"low": 0.1, "high": 1000.0, "log": True},
    }


class XGBoostSpace(NamedSpace):
    """Depth, learning rate, sampling and penalties of XGBoost."""

    classes: ClassVar[tuple[str, ...]] = ("XGBModel",)
    values: ClassVar[Mapping[str, Any]] = {
        "eta": {"low": 0.02, "high": 0.3, "log": True},
        "max_depth": {"low": 3, "high": 10},
        "min_child_weight": {"low": 1.0, "high": 300.0, "log": True},
        "subsample": {"low": 0.5, "high": 1.0},
        "colsample_bytree": {"low": 0.4, "high": 1.0},
        "reg_alpha": {"low": 0.01, "high": 100.0, "log": True},
        "reg_lambda": {"low": 0.1, "high": 1000.0, "log": True},
    }


class CatBoostSpace(NamedSpace):
    """Depth, learning rate, penalty and sampling of CatBoost."""

    classes: ClassVar[tuple[str, ...]] = ("CatBoostModel",)
    values: ClassVar[Mapping[str, Any]] = {
        "learning_rate": {"low": 0.02, "high": 0.3, "log": True},
        "depth": {"low": 3, "high": 8},
        "l2_leaf_reg": {"low": 1.0, "high": 300.0, "log": True},
        "rsm": {"low": 0.3, "high": 1.0},
    }
