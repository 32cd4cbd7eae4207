"""What networks of sequences share: the shape of their input."""

from __future__ import annotations

from torch import Tensor

__all__ = ["as_sequence"]


def as_sequence(x: Tensor, d_feat: int) -> Tensor:
    """Return `x` as (rows, steps, d_feat).

    Rows of a table, shape (rows, features), hold the history of each of `d_feat` fields in turn, oldest first, as
    Alpha360 lays them out; windows, shape (rows, steps, d_feat), are returned as they are.
    """
    if x.dim() == 2:
        return x.view(len(x), d_feat, -1).transpose(1, 2)
    if x.shape[-1] != d_feat:
        raise ValueError(f"the windows have {x.shape[-1]} features a step and d_feat is {d_feat}")
    return x
