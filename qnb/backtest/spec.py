"""What a backtest is asked to simulate: costs, prices, limits, lots, and how orders are carried out.

`ExchangeSpec` is the frozen description; `exchange_spec` reads it from the words of a workflow (``exchange_kwargs``),
`with_executor` adds what its ``executor`` section says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from ..config import REGIONS, Region
from ..errors import BacktestError, nearest

__all__ = ["ExchangeSpec", "VolumeLimit", "daily", "exchange_spec", "with_executor"]

_SIDES = ("all", "buy", "sell")
_KINDS = ("current", "cum")
_WEIGHTS = ("mean", "amount_weighted", "value_weighted")
_UNUSED = ("subscribe_fields", "quote_cls")
_DAY = re.compile(r"^(1\s*)?(d|day|days)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class VolumeLimit:
    """How much of an instrument can be traded on a day.

    Attributes
    ----------
    side : str
        ``"all"``, ``"buy"`` or ``"sell"``.
    kind : str
        ``"current"``: the expression is the capacity of each order; ``"cum"``: that of the day, less what earlier
        orders took.
    expression : str
        Amount in adjusted shares, e.g. ``"0.1 * $volume"``; NaN means nothing can be traded.
    """

    side: str
    kind: str
    expression: str


@dataclass(frozen=True, slots=True)
class ExchangeSpec:
    """The exchange that orders go to.

    Attributes
    ----------
    open_cost, close_cost : float
        Cost of a buy and of a sell as a share of its value.
    min_cost : float
        Least cost of an order that trades, in money.
    impact_cost : float
        Market impact: ``impact_cost * (value / day's traded value) ** 2`` is added to the rate.
    limit_threshold : float, pair of str, or None
        A float t: no buy at ``$change >= t``, no sell at ``$change <= -t``. A pair of expressions: no buy (sell) where
        the first (second) is not 0. None: no price limits.
    deal_price : str or pair of str
        Price of a fill: a field (``"close"``, ``"$close"``) or an expression, or one for buys and one for sells. Where
        it is missing or not above 1e-8 the close is taken.
    volume_threshold : tuple of VolumeLimit
        Limits on the amount; the tightest counts.
    trade_unit : int or None
        Shares in a lot; None trades fractions.
    codes : str or sequence of str
        Universe, or instruments, that are traded here; what is not among them counts as suspended.
    trade_type : str
        ``"serial"`` carries orders out as they come, ``"parallel"`` buys before it sells (proceeds come too late).
    settle_type : str
        ``"cash"``: proceeds can be used from the next day on. ``"none"``: at once.
    ffr_weight : str
        Weights of the day's mean fill rate: ``"mean"``, ``"amount_weighted"`` or ``"value_weighted"``.
    freq : str
        Only ``"day"``.
    """

    open_cost: float = 0.0015
    close_cost: float = 0.0025
    min_cost: float = 5.0
    impact_cost: float = 0.0
    limit_threshold: float | tuple[str, str] | None = 0.095
    deal_price: str | tuple[str, str] = "close"
    volume_threshold: tuple[VolumeLimit, ...] = ()
    trade_unit: int | None = 100
    codes: str | tuple[str, ...] = "all"
    trade_type: str = "serial"
    settle_type: str = "none"
    ffr_weight: str = "mean"
    freq: str = "day"

    @property
    def buy_price(self) -> str:
        """Expression of the price of a buy."""
        return _price(self.deal_price if isinstance(self.deal_price, str) else self.deal_price[0])

    @property
    def sell_price(self) -> str:
        """Expression of the price of a sell."""
        return _price(self.deal_price if isinstance(self.deal_price, str) else self.deal_price[1])

    @property
    def limits(self) -> tuple[str, str] | None:
        """Expressions of the limits for buys and for sells, when they are expressions."""
        return self.limit_threshold if isinstance(self.limit_threshold, tuple) else None

    def checked(self) -> ExchangeSpec:
        """Return this after a look at its values; raises `BacktestError` for one that makes no sense."""
        for name in ("open_cost", "close_cost", "min_cost", "impact_cost"):
            value = getattr(self, name)
            if not _is_number(value) or not value >= 0:
                raise BacktestError(f"{name} must be a number >= 0, received {value!r}")
        unit = self.trade_unit
        if unit is not None and (not _is_number(unit) or unit <= 0):
            raise BacktestError(f"trade_unit must be a number of shares above 0 or null, received {unit!r}")
        limit = self.limit_threshold
        if _is_number(limit) and not limit > 0:  # type: ignore[operator]
            raise BacktestError(f"limit_threshold must be above 0, received {limit!r}; null means no limit of your own")
        for name, valid in (("trade_type", ("serial", "parallel")), ("settle_type", ("none", "cash"))):
            _one_of(name, getattr(self, name), valid)
        _one_of("weight_method", self.ffr_weight, _WEIGHTS)
        daily(self.freq)
        return self


def exchange_spec(
    options: Mapping[str, Any] | None = None, *, region: Region | None = None, mode: str = "compat"
) -> ExchangeSpec:
    """Return the exchange that ``exchange_kwargs`` of a workflow describe.

    Parameters
    ----------
    options : mapping, optional
        ``freq``, ``open_cost``, ``close_cost``, ``min_cost``, ``impact_cost``, ``limit_threshold``, ``deal_price``,
        ``volume_threshold``, ``trade_unit``, ``codes``, ``trade_type``, ``settle_type``, ``pos_type``.
    region : Region, optional
        Gives lots, limits and deal price where `options` do not; default ``cn``.
    mode : str
        In ``"compat"`` a ``limit_threshold`` of null means the region's; in ``"strict"`` it means no limit.

    Raises
    ------
    BacktestError
        For an unknown option (with the nearest), one that is not supported, or a value that makes no sense.

    Examples
    --------
    >>> exchange_spec({"deal_price": "open", "min_cost": 0}).buy_price
    '$open'
    """
    region = region or REGIONS["cn"]
    given = dict(options or {})
    for name in (*_UNUSED, "start_time", "end_time"):  # quotes are read for the run's own days, in full
        given.pop(name, None)
    _position_type(given.pop("pos_type", "Position"))
    for name in ("exchange", "extra_quote"):
        if given.pop(name, None) is not None:
            raise BacktestError(f"{name} is not supported: quotes come from the data store; import them into a store")
    known = {f.name for f in fields(ExchangeSpec)} - {"ffr_weight"}
    for name in given:
        if name not in known:
            near = nearest(name, known)
            remedy = f"did you mean {near[0]!r}?" if near else f"valid: {', '.join(sorted(known))}"
            raise BacktestError(f"unknown exchange option {name!r}; {remedy}")
    values: dict[str, Any] = {"limit_threshold": region.limit_threshold, "deal_price": region.deal_price}
    values["trade_unit"] = region.trade_unit
    values.update(given)
    if values["limit_threshold"] is None and mode == "compat":
        values["limit_threshold"] = region.limit_threshold
    values["limit_threshold"] = _limit(values["limit_threshold"])
    values["deal_price"] = _deal_price(values["deal_price"] or region.deal_price)
    values["volume_threshold"] = _volume_limits(values.get("volume_threshold"))
    values["codes"] = _codes(values.get("codes", "all"))
    values["settle_type"] = _settlement(values.get("settle_type", "none"))
    for name in ("open_cost", "close_cost", "min_cost", "impact_cost"):
        if name in values:
            values[name] = _number(name, values[name])
    return ExchangeSpec(**values).checked()


def with_executor(spec: ExchangeSpec, executor: Any) -> ExchangeSpec:
    """Return `spec` with what the ``executor`` section of a workflow says.

    Raises
    ------
    BacktestError
        For another executor than a daily ``SimulatorExecutor``, or an unknown option.
    """
    if executor is None:
        return spec
    if isinstance(executor, str):
        executor = {"class": executor}
    if not isinstance(executor, Mapping):
        raise BacktestError(f"an executor is described by class and kwargs, received {executor!r}")
    name = str(executor.get("class", "SimulatorExecutor")).rpartition(".")[2]
    if name != "SimulatorExecutor":
        raise BacktestError(
            f"executor {name!r} is not supported: orders are filled on daily bars; use SimulatorExecutor, or none"
        )
    kwargs = dict(executor.get("kwargs") or {})
    daily(kwargs.pop("time_per_step", "day"), name="time_per_step")
    if kwargs.pop("generate_portfolio_metrics", True) is False:
        raise BacktestError("generate_portfolio_metrics: false leaves nothing to report; set it to true")
    changes: dict[str, Any] = {}
    if "trade_type" in kwargs:
        changes["trade_type"] = kwargs.pop("trade_type")
    if "settle_type" in kwargs:
        changes["settle_type"] = _settlement(kwargs.pop("settle_type"))
    indicator = kwargs.pop("indicator_config", None) or {}
    changes["ffr_weight"] = (indicator.get("ffr_config") or {}).get("weight_method", spec.ffr_weight)
    for unused in ("verbose", "track_data", "start_time", "end_time"):
        kwargs.pop(unused, None)
    if kwargs:
        bad = next(iter(kwargs))
        near = nearest(bad, ("time_per_step", "generate_portfolio_metrics", "trade_type", "settle_type"))
        raise BacktestError(f"unknown executor option {bad!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    return replace(spec, **changes).checked()


def daily(freq: Any, *, name: str = "freq") -> None:
    """Raise `BacktestError` unless `freq` means one trading day."""
    if not isinstance(freq, str) or not _DAY.match(freq.strip()):
        raise BacktestError(f"{name} {freq!r} is not supported: backtests run on daily bars; use 'day'")


def _price(text: str) -> str:
    return f"${text}" if re.fullmatch(r"\w+", text) else text


def _deal_price(value: Any) -> str | tuple[str, str]:
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence) and len(value) == 2 and all(isinstance(v, str) for v in value):
        return (value[0], value[1])
    raise BacktestError(f"deal_price is a field, an expression or a pair (buy, sell) of them, received {value!r}")


def _limit(value: Any) -> float | tuple[str, str] | None:
    if value is None:
        return None
    if _is_number(value):
        return float(value)
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2:
        if all(isinstance(v, str) for v in value):
            return (value[0], value[1])
    elif isinstance(value, str):
        return _number("limit_threshold", value)
    raise BacktestError(f"limit_threshold is a number, a pair of expressions (buy, sell) or null, received {value!r}")


def _volume_limits(value: Any) -> tuple[VolumeLimit, ...]:
    if value is None:
        return ()
    if isinstance(value, Mapping):
        pairs = list(value.items())
    elif isinstance(value, Sequence) and not isinstance(value, str):
        if all(isinstance(v, VolumeLimit) for v in value):
            return tuple(value)
        pairs = [("all", value)]
    else:
        pairs = [("all", None)]
    found = []
    for side, limit in pairs:
        _one_of("side of volume_threshold", side, _SIDES)
        if isinstance(limit, str) or not isinstance(limit, Sequence) or len(limit) != 2:
            raise BacktestError(
                f"volume_threshold is ('current' | 'cum', expression) or a mapping of all, buy, sell to such pairs, "
                f"received {value!r}"
            )
        kind, expression = limit
        _one_of("kind of volume_threshold", kind, _KINDS)
        found.append(VolumeLimit(side, kind, str(expression)))
    return tuple(found)


def _codes(value: Any) -> str | tuple[str, ...]:
    if value is None or (not isinstance(value, str) and len(value) == 0):
        return "all"
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return str(value.get("market", "all"))
    return tuple(str(v) for v in value)


def _settlement(value: Any) -> str:
    return "none" if value is None or str(value).lower() == "none" else str(value)


def _position_type(value: Any) -> None:
    name = str(value).rpartition(".")[2]
    if name != "Position":
        raise BacktestError(f"pos_type {name!r} is not supported: an account holds cash and shares; use 'Position'")


def _one_of(name: str, value: Any, valid: Sequence[str]) -> None:
    if value not in valid:
        near = nearest(str(value), valid)
        remedy = f"did you mean {near[0]!r}?" if near else f"valid: {', '.join(valid)}"
        raise BacktestError(f"{name} {value!r} is not known; {remedy}")


def _number(name: str, value: Any) -> float:
    if _is_number(value):
        return float(value)
    try:
        return float(value)
    except (TypeError, ValueError):
        raise BacktestError(f"{name} must be a number, received {value!r}") from None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
