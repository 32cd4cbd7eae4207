"""Reason codes of the order ledger."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Reason"]


class Reason(StrEnum):
    """Why an order was sent, or why it was not filled as asked.

    The first four say why an order that was filled as asked was sent; the others say what stood in its way. A row of
    the ledger that was filled in part carries what cut it.
    """

    ENTERED = "entered"
    """Bought: its score put it into the portfolio."""
    INCREASED = "increased"
    """Bought: more of a holding."""
    DROPPED = "dropped"
    """Sold whole: its score put it out of the portfolio."""
    REDUCED = "reduced"
    """Sold in part."""
    LIMIT_UP = "limit_up"
    """The price limit for buys was reached."""
    LIMIT_DOWN = "limit_down"
    """The price limit for sells was reached."""
    SUSPENDED = "suspended"
    """Not traded that day."""
    NO_CASH = "no_cash"
    """Cash does not cover it."""
    VOLUME = "volume"
    """The volume limit."""
    LOT = "lot"
    """Rounded down to whole lots."""
    HOLD_THRESH = "hold_thresh"
    """Held for too few days to be sold."""
