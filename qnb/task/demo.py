"""The workflow that ``qnb demo`` runs."""

from __future__ import annotations

__all__ = ["DEMO_WORKFLOW"]

DEMO_WORKFLOW = """\
market: demo
experiment: demo
model:
  lightgbm:
    learning_rate: 0.05
    num_leaves: 64
    colsample_bytree: 0.8
    subsample: 0.8
    lambda_l2: 10.0
features: Alpha158
strategy: {topk: 30, n_drop: 3}
benchmark: DMINDEX
"""
