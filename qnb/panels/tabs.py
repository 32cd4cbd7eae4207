"""What the tabs of a run's panel ask for when they are opened: figures, files, configuration, surroundings."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import ConfigError, PoolError, QnbError
from ..handle import RunHandle
from ..task.defaults import differences
from .artifacts import artifact_bytes, artifact_preview, artifact_rows
from .run_cell import task_cell
from .surroundings import surroundings

__all__ = ["answer"]

VALUE = 200
Reply = tuple[dict[str, Any], list[bytes]]


def answer(handle: RunHandle, request: Mapping[str, Any]) -> Reply:
    """Return the reply to a request of the front end, and what of it is bytes.

    ``report`` (plotly: whether the page has it already) gives the report with its live figures; ``plotly`` the script
    that draws figures; ``artifacts`` the list of files, ``preview`` and ``save`` (path) one of them; ``save_report``
    the report as a file; ``config`` what differs from defaults; ``environment``; ``cell`` the cell that runs it again.

    A reply has the request's kind; one that cannot be given has ``error`` instead.
    """
    kind = str(request.get("kind"))
    try:
        content, buffers = _ANSWERS[kind](handle, request)
    except (QnbError, OSError, ValueError, KeyError) as error:
        content, buffers = {"error": str(error)}, []
    return {"kind": kind, "run_id": handle.run_id, "path": request.get("path"), **content}, buffers


def _report(handle: RunHandle, request: Mapping[str, Any]) -> Reply:
    file = handle.directory.path / "live.html"
    if not file.exists():
        return {"html": ""}, []
    return {"html": file.read_text(encoding="utf-8", errors="replace")}, [] if request.get("plotly") else [_plotly()]


def _plotly_alone(handle: RunHandle, request: Mapping[str, Any]) -> Reply:
    return {}, [_plotly()]


def _artifacts(handle: RunHandle, request: Mapping[str, Any]) -> Reply:
    recorder = handle.recorder
    return {"rows": artifact_rows(recorder), "place": str(recorder.artifact_dir or "")}, []


def _preview(handle: RunHandle, request: Mapping[str, Any]) -> Reply:
    return {"preview": artifact_preview(handle.recorder, str(request.get("path")))}, []


def _save(handle: RunHandle, request: Mapping[str, Any]) -> Reply:
    name, content = artifact_bytes(handle.recorder, str(request.get("path")))
    return {"name": name}, [content]


def _save_report(handle: RunHandle, request: Mapping[str, Any]) -> Reply:
    report = handle.report
    if report is None or not Path(report).exists():
        raise PoolError("the run left no report on this machine")
    return {"name": f"{handle.name}-{handle.run_id[:6]}.html"}, [Path(report).read_bytes()]


def _config(handle: RunHandle, request: Mapping[str, Any]) -> Reply:
    rows = []
    for found in differences(handle.request.task):
        default = "must be given" if found.required else found.default or "–"
        rows.append([found.component, found.name, _shown(found.value), default])
    return {"rows": rows}, []


def _environment(handle: RunHandle, request: Mapping[str, Any]) -> Reply:
    return surroundings(handle), []


def _cell(handle: RunHandle, request: Mapping[str, Any]) -> Reply:
    try:
        return {"text": task_cell(handle)}, []
    except ConfigError as error:
        raise PoolError(f"the task cannot be written as a cell: {error}") from error


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= VALUE else text[: VALUE - 1] + "…"


@cache
def _plotly() -> bytes:
    """Return plotly.js, compressed: a third of it travels."""
    from plotly.offline import get_plotlyjs

    return gzip.compress(get_plotlyjs().encode(), 6)


_ANSWERS: Mapping[str, Callable[[RunHandle, Mapping[str, Any]], Reply]] = {
    "report": _report,
    "plotly": _plotly_alone,
    "artifacts": _artifacts,
    "preview": _preview,
    "save": _save,
    "save_report": _save_report,
    "config": _config,
    "environment": _environment,
    "cell": _cell,
}
"""Kind of a request -> what answers it."""
