"""The portfolio as strategies written for qlib read it: names instead of codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .strategy import Day

__all__ = ["Position"]


class Position:
    """Cash and holdings at the beginning of a day. Handed to `WeightStrategyBase.generate_target_weight_position`.

    Parameters
    ----------
    day : Day
        The day; nothing is changed through a position.
    """

    def __init__(self, day: Day) -> None:
        self._day = day
        self._codes = {day.instruments[code]: int(code) for code in day.held}

    def get_stock_list(self) -> list[str]:
        """Return the instruments held, sorted."""
        return list(self._codes)

    def check_stock(self, stock_id: str) -> bool:
        """Return whether an instrument is held."""
        return stock_id in self._codes

    def get_stock_amount(self, code: str) -> float:
        """Return the adjusted shares held, 0 if none."""
        return float(self._day.amount[self._codes[code]]) if code in self._codes else 0.0

    def get_stock_price(self, code: str) -> float:
        """Return the last price seen of a holding."""
        return float(self._day.price[self._codes[code]])

    def get_stock_count(self, code: str, bar: str = "day") -> int:
        """Return for how many days an instrument is held; `bar` is always a day."""
        return int(self._day.count[self._codes[code]])

    def get_stock_weight(self, code: str) -> float:
        """Return a holding's share of the account."""
        return self.get_stock_amount(code) * self.get_stock_price(code) / self.calculate_value()

    def get_cash(self, include_settle: bool = False) -> float:
        """Return the cash that can be spent."""
        return self._day.cash

    def get_stock_amount_dict(self) -> dict[str, float]:
        """Return instrument -> adjusted shares."""
        return {name: self.get_stock_amount(name) for name in self._codes}

    def get_stock_weight_dict(self, only_stock: bool = False) -> dict[str, float]:
        """Return instrument -> share of the account, or of all holdings if `only_stock`."""
        total = self.calculate_stock_value() if only_stock else self.calculate_value()
        return {n: self.get_stock_amount(n) * self.get_stock_price(n) / total for n in self._codes}

    def calculate_stock_value(self) -> float:
        """Return the value of all holdings at the last prices seen."""
        return sum(self.get_stock_amount(n) * self.get_stock_price(n) for n in self._codes)

    def calculate_value(self) -> float:
        """Return cash and holdings."""
        return self._day.account_value

    @property
    def position(self) -> dict[str, Any]:
        """Everything as one dict: instrument -> amount, price, count_day, weight; and ``cash``."""
        holdings: dict[str, Any] = {
            name: {
                "amount": self.get_stock_amount(name),
                "price": self.get_stock_price(name),
                "weight": self.get_stock_weight(name),
                "count_day": self.get_stock_count(name),
            }
            for name in self._codes
        }
        return {**holdings, "cash": self.get_cash(), "now_account_value": self.calculate_value()}
