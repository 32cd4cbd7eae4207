"""What a panel shows of a finished run: the key figures and charts the worker left as a static fragment."""

from __future__ import annotations

from html import escape

from ..handle import RunHandle

__all__ = ["result_html"]


def result_html(handle: RunHandle) -> str:
    """Return HTML for the result of a run that is over; empty for one that did not finish.

    The fragment was made, and escaped, by `qnb.reports` in the worker.
    """
    if handle.status != "finished":
        return ""
    parts = []
    fragment = handle.directory.path / "fragment.html"
    if fragment.exists():
        parts.append(fragment.read_text(encoding="utf-8", errors="replace"))
    if handle.report is not None:
        parts.append(f"<p>Report: <code>{escape(str(handle.report))}</code></p>")
    return "".join(parts)
