"""Losses of the training loop: functions of predictions and labels, with weights and dates where given.

Predictions, labels and weights have shape (rows,). `day` numbers the rows' dates, ascending, for the losses that look
at one date at a time; those are fed whole dates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["BY_DAY", "Loss", "binary", "find_loss", "huber", "ic", "mae", "mse", "ranking"]

Loss: TypeAlias = Callable[[Tensor, Tensor, Tensor | None, Tensor], Tensor]
"""(prediction, label, weight or None, day) -> scalar."""

BY_DAY = ("ic", "ranking")
"""Losses that need whole dates in a batch."""


def mse(pred: Tensor, label: Tensor, weight: Tensor | None, day: Tensor) -> Tensor:
    """Return the mean of ``weight * (pred - label)^2``."""
    return _mean((pred - label).square(), weight)


def mae(pred: Tensor, label: Tensor, weight: Tensor | None, day: Tensor) -> Tensor:
    """Return the mean of ``weight * |pred - label|``."""
    return _mean((pred - label).abs(), weight)


def huber(pred: Tensor, label: Tensor, weight: Tensor | None, day: Tensor) -> Tensor:
    """Return the mean of Huber's loss with a threshold of 1 (Huber, 1964): squares near 0, absolute values beyond."""
    return _mean(F.huber_loss(pred, label, reduction="none"), weight)


def binary(pred: Tensor, label: Tensor, weight: Tensor | None, day: Tensor) -> Tensor:
    """Return the cross entropy of ``sigmoid(pred)`` with labels of 0 and 1."""
    return _mean(F.binary_cross_entropy_with_logits(pred, label, reduction="none"), weight)


def ic(pred: Tensor, label: Tensor, weight: Tensor | None, day: Tensor) -> Tensor:
    """Return 1 minus the mean over dates of the (weighted) correlation of prediction and label.

    A date with fewer than two rows or without variance counts as a correlation of 0.
    """
    w = torch.ones_like(pred) if weight is None else weight
    where, count = _numbered(day)
    total = _sums(w, where, count).clamp_min(1e-12)
    p = pred - (_sums(w * pred, where, count) / total)[where]
    y = label - (_sums(w * label, where, count) / total)[where]
    covariance = _sums(w * p * y, where, count)
    variance = _sums(w * p * p, where, count) * _sums(w * y * y, where, count)
    return 1 - (covariance / (variance + 1e-12).sqrt()).mean()


def ranking(pred: Tensor, label: Tensor, weight: Tensor | None, day: Tensor) -> Tensor:
    """Return the pairwise logistic loss over all pairs of a date whose labels differ (RankNet; Burges et al., 2005)."""
    losses = []
    _, counts = torch.unique_consecutive(day, return_counts=True)
    for rows in torch.arange(len(pred), device=pred.device).split(counts.tolist()):
        p, y = pred[rows], label[rows]
        above = (y[:, None] > y[None, :]).float()
        if weight is not None:
            above = above * weight[rows][:, None] * weight[rows][None, :]
        pairs = above.sum()
        losses.append((above * F.softplus(p[None, :] - p[:, None])).sum() / pairs.clamp_min(1.0))
    return torch.stack(losses).mean()


_LOSSES: dict[str, Loss] = {
    "mse": mse, "mae": mae, "huber": huber, "binary": binary, "ic": ic, "ranking": ranking,
}  # fmt: skip


def find_loss(name: str) -> Loss:
    """Return the loss of that name (checked by `LoopOptions`)."""
    return _LOSSES[name]


def _mean(values: Tensor, weight: Tensor | None) -> Tensor:
    return values.mean() if weight is None else (values * weight).mean()


def _numbered(day: Tensor) -> tuple[Tensor, int]:
    days, where = torch.unique_consecutive(day, return_inverse=True)
    return where, len(days)


def _sums(values: Tensor, where: Tensor, count: int) -> Tensor:
    return torch.zeros(count, dtype=values.dtype, device=values.device).index_add(0, where, values)
