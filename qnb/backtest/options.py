"""Reads the exchange out of a workflow: its ``exchange_kwargs`` and ``executor``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from ..config import REGIONS, Region
from ..errors import BacktestError, nearest
from .spec import ExchangeSpec, VolumeLimit, daily, is_number, one_of

__all__ = ["exchange_spec", "with_executor"]

_SIDES = ("all", "buy", "sell")
_KINDS = ("current", "cum")
_UNUSED = ("subscribe_fields", "quote_cls", "start_time", "end_time")


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
    for name in _UNUSED:  # quotes are read for the run's own days, in full
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


def _deal_price(value: Any) -> str | tuple[str, str]:
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence) and len(value) == 2 and all(isinstance(v, str) for v in value):
        return (value[0], value[1])
    raise BacktestError(f"deal_price is a field, an expression or a pair (buy, sell) of them, received {value!r}")


def _limit(value: Any) -> float | tuple[str, str] | None:
    if value is None:
        return None
    if is_number(value):
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
        one_of("side of volume_threshold", side, _SIDES)
        if isinstance(limit, str) or not isinstance(limit, Sequence) or len(limit) != 2:
            raise BacktestError(
                f"volume_threshold is ('current' | 'cum', expression) or a mapping of all, buy, sell to such pairs, "
                f"received {value!r}"
            )
        kind, expression = limit
        one_of("kind of volume_threshold", kind, _KINDS)
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


def _number(name: str, value: Any) -> float:
    if is_number(value):
        return float(value)
    try:
        return float(value)
    except (TypeError, ValueError):
        raise BacktestError(f"{name} must be a number, received {value!r}") from None
