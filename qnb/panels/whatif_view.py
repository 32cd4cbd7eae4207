"""From outcomes of other settings to what the what-if panel shows: sliders, figures beside the run's own, a table."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError
from ..reports import numbers
from .compare_view import figure_of
from .measures import HEADLINE, measure_of
from .verdict import difference_of

if TYPE_CHECKING:
    from ..whatif import Knobs, Outcome, WhatIf

__all__ = ["knobs_from", "knobs_view", "outcome_view", "what_if_html"]

PERIODS = 238
_ROWS = (*HEADLINE[2:], "1day.excess_return_without_cost.annualized_return", "turnover", "cost")
_BASIS = 10_000


def knobs_view(what_if: WhatIf) -> list[dict[str, Any]]:
    """Return the sliders and choices: key, label, value of the run, bounds, and how many of a share make one unit."""
    base = what_if.base
    most = max(2, min(what_if.names(), max(200, 2 * (base.topk or 0))))
    found: list[dict[str, Any]] = []

    def slider(key: str, label: str, value: float | None, low: float, high: float, step: float, unit: str) -> None:
        if value is not None:
            high = max(high, value)
            found.append(
                {"key": key, "label": label, "value": value, "min": low, "max": high, "step": step, "unit": unit}
            )

    slider("topk", "Names held (topk)", base.topk, 1, most, 1, "")
    slider("n_drop", "Replaced a day (n_drop)", base.n_drop, 0, min(most, 50), 1, "")
    slider("open_cost", "Cost of a buy", round(base.open_cost * _BASIS, 3), 0, 50, 0.5, "bp")
    slider("close_cost", "Cost of a sell", round(base.close_cost * _BASIS, 3), 0, 50, 0.5, "bp")
    limit = None if base.limit_threshold is None else round(base.limit_threshold * 100, 3)
    slider("limit_threshold", "Price limit", limit, 1, 25, 0.5, "%")
    if base.deal_price:
        found.append(
            {"key": "deal_price", "label": "Deal price", "value": base.deal_price, "choices": what_if.prices()}
        )
    return found


def knobs_from(what_if: WhatIf, values: dict[str, Any]) -> Knobs:
    """Return the settings of the sliders' positions; what is missing stays as in the run.

    Raises
    ------
    ConfigError
        For a position that is none.
    """
    base = what_if.base
    changes: dict[str, Any] = {}
    try:
        for key, unit in (("open_cost", _BASIS), ("close_cost", _BASIS), ("limit_threshold", 100)):
            if key in values and getattr(base, key) is not None:
                changes[key] = max(0.0, round(float(values[key]) / unit, 9))
        for key in ("topk", "n_drop"):
            if key in values and getattr(base, key) is not None:
                changes[key] = max(0, int(values[key]))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"a setting of the what-if is no number: {error}") from error
    if values.get("deal_price") in what_if.prices() and base.deal_price:
        changes["deal_price"] = values["deal_price"]
    return replace(base, **changes)


def outcome_view(what_if: WhatIf, now: Outcome, *, seconds: float) -> dict[str, Any]:
    """Return table, figures and sentence of `now` beside the run's own outcome."""
    import pandas as pd

    base = what_if.run(what_if.base)
    daily = pd.DataFrame({0: pd.Series(base.excess, base.dates), 1: pd.Series(now.excess, now.dates)}).sort_index()
    same = now.knobs == base.knobs
    shown = daily[[0]] if same else daily
    labels = ["this run", "what if"]
    total = shown.cumsum()
    depth = total - total.cummax().clip(lower=0.0)
    note = "after cost, daily returns summed"
    figures = [
        figure_of("Excess return", note, total, labels, "percent", height=210),
        figure_of("Drawdown of it", "", depth, labels, "percent", height=110),
    ]
    return {
        "rows": [_row(key, base, now, same) for key in _ROWS],
        "figures": figures,
        "sentence": _sentence(daily, same=same, tried=len(what_if.outcomes)),
        "seconds": numbers.duration(seconds),
        "changed": _changed(what_if.base, now.knobs),
        "yaml": what_if.to_yaml(now.knobs),
    }


def what_if_html(what_if: WhatIf, now: Outcome, *, name: str) -> str:
    """Return run and what-if as an HTML table without script."""
    same = now.knobs == what_if.base
    base = what_if.run(what_if.base)
    rows = [_row(key, base, now, same) for key in _ROWS]
    style = "padding:2px 14px 2px 0;text-align:right;border:0"
    body = "".join(
        f'<tr><td style="{style};text-align:left">{escape(r["title"])}</td>'
        + "".join(f'<td style="{style}">{escape(r[k])}</td>' for k in ("base", "now", "difference"))
        + "</tr>"
        for r in rows
    )
    changed = ", ".join(_changed(what_if.base, now.knobs)) or "as in the run; %load_ext qnb in a notebook gives sliders"
    return f'<div class="qnb-static {escape(name)}"><p>What if: {escape(changed)}</p><table>{body}</table></div>'


def _row(key: str, base: Outcome, now: Outcome, same: bool) -> dict[str, str]:
    measure = measure_of(key)
    a, b = base.metrics[key], now.metrics[key]
    return {
        "title": measure.title,
        "base": measure.write(a),
        "now": "" if same else measure.write(b),
        "difference": "" if same else measure.differ(b - a),
    }


def _changed(base: Knobs, now: Knobs) -> list[str]:
    found = []
    for key in ("topk", "n_drop", "open_cost", "close_cost", "limit_threshold", "deal_price"):
        before, after = getattr(base, key), getattr(now, key)
        if before != after:
            found.append(f"{key} {after:g}" if isinstance(after, int | float) else f"{key} {after}")
    return found


def _sentence(daily: Any, *, same: bool, tried: int) -> str:
    if same:
        return "As the run traded. Move a slider to trade its predictions otherwise; the model is not fitted again."
    found = difference_of(daily[1].to_numpy(dtype=np.float64), daily[0].to_numpy(dtype=np.float64))
    amount = numbers.percent(found.mean * PERIODS)
    text = f"Against the run: {amount} a year"
    if np.isfinite(found.t):
        text += f", t = {numbers.decimal(found.t, 1)} of the daily difference"
    others = tried - 1
    warning = (
        f"{numbers.counted(others, 'other setting')} tried on the days of the test: the best of many looks better "
    )
    return f"{text}. {warning}than it is."
