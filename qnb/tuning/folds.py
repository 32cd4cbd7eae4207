"""Folds of time for cross-validation: walk-forward, and k-fold with purging and embargo.

Labels look ahead: the label of day t is made of prices up to day t + reach. A row may therefore only be learnt from
when its label does not reach into the validation days, and not when a validation label reaches into its own day.

Source: López de Prado, Advances in Financial Machine Learning, 2018, chapter 7 (purging, embargo).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import ConfigError, Problem

__all__ = ["Fold", "make_folds"]


@dataclass(frozen=True, slots=True)
class Fold:
    """One fold, in positions of trading days.

    Attributes
    ----------
    train : tuple of (int, int)
        Spans to learn from, first and last day inclusive, ascending.
    valid : (int, int)
        Days to compare on, inclusive.
    """

    train: tuple[tuple[int, int], ...]
    valid: tuple[int, int]

    @property
    def longest(self) -> tuple[int, int]:
        """The longest of the spans to learn from: processors are fitted on it."""
        return max(self.train, key=lambda s: s[1] - s[0])


def make_folds(kind: str, days: int, folds: int, *, reach: int, embargo: int | None = None) -> tuple[Fold, ...]:
    """Return the folds of `days` trading days.

    Parameters
    ----------
    kind : str
        ``walk_forward``: the days are cut into `folds` + 1 blocks; fold i learns from all blocks before block i + 1 and
        is compared on that block. ``purged_kfold``: `folds` blocks; each is compared on once, the others are learnt
        from.
    days : int
        Number of trading days.
    reach : int
        Days that the label looks ahead. So many days before a validation block are not learnt from, and so many after.
    embargo : int, optional
        Further days after a validation block that are not learnt from; default `reach`.

    Raises
    ------
    ConfigError
        There are too few days.

    Examples
    --------
    >>> [f.train + (f.valid,) for f in make_folds("walk_forward", 9, 2, reach=1)]
    [((0, 1), (3, 5)), ((0, 4), (6, 8))]
    >>> make_folds("purged_kfold", 9, 3, reach=1, embargo=0)[1]
    Fold(train=((0, 1), (7, 8)), valid=(3, 5))
    """
    gap = reach + (reach if embargo is None else embargo)
    blocks = folds + 1 if kind == "walk_forward" else folds
    bounds = [round(i * days / blocks) for i in range(blocks + 1)]
    found = []
    for number in range(blocks - folds, blocks):
        first, last = bounds[number], bounds[number + 1] - 1
        spans: list[tuple[int, int]] = []
        if first - 1 - reach >= 0:
            spans.append((0, first - 1 - reach))
        if kind == "purged_kfold" and last + 1 + gap <= days - 1:
            spans.append((last + 1 + gap, days - 1))
        if last < first or not spans:
            message = f"{days} days are too few for {folds} folds with {reach} days of purging and an embargo of {gap}"
            raise ConfigError([Problem(message, "fewer folds, or a longer train segment", "study.cv")])
        found.append(Fold(tuple(spans), (first, last)))
    return tuple(found)


def label_reach(expressions: Sequence[str]) -> int:
    """Return how many days the labels look ahead, at least 1; raises `ExpressionError` for one that cannot be read.

    Examples
    --------
    >>> label_reach(["Ref($close, -2)/Ref($close, -1) - 1"])
    2
    """
    from ..expr.explain import explain

    reaches = [1]
    for text in expressions:
        found = explain(text)
        reaches.append(found.days_ahead if found.right is None else max(found.right, found.days_ahead))
    return max(reaches)
