"""Backtest reports: data computed, then drawn with Plotly, then laid out as one HTML file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .build import Report, build_report
    from .html import report_fragment, report_html, write_html
    from .types import CostTerms, Kpi, ReportInput, RunFacts, TaskSummary

__all__ = [
    "CostTerms",
    "Kpi",
    "Report",
    "ReportInput",
    "RunFacts",
    "TaskSummary",
    "build_report",
    "report_fragment",
    "report_html",
    "write_html",
]

_HOMES = {
    "CostTerms": "types",
    "Kpi": "types",
    "Report": "build",
    "ReportInput": "types",
    "RunFacts": "types",
    "TaskSummary": "types",
    "build_report": "build",
    "report_fragment": "html",
    "report_html": "html",
    "write_html": "html",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'qnb.reports' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value
