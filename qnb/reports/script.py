"""The script that makes the figures of a report live, for whoever shows one."""

from __future__ import annotations

from pathlib import Path

__all__ = ["report_script"]


def report_script() -> str:
    """Return JavaScript that defines ``qnbReport(root, Plotly)``: it draws the live figures of the report in `root`."""
    return (Path(__file__).parent / "report.js").read_text(encoding="utf-8")
