"""The live panel of one run: follows the journal and sends the browser a finished view at most ten times a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from IPython import get_ipython
from IPython.display import display

from ..errors import QnbError
from ..handle import RunHandle
from .result import result_html
from .static import static_html
from .view import run_view

__all__ = ["LivePanel", "show"]

HERE = Path(__file__).parent
INTERVAL = 0.1
RESULT_RETRIES = 20
WIDGET = "application/vnd.jupyter.widget-view+json"


def show(handle: RunHandle) -> None:
    """Show the panel of a run below the cell.

    Two outputs: the static form, which is brought up to date when the run is over and is what a saved notebook keeps,
    and the live panel, which hides the static form as long as it lives.
    """
    panel = LivePanel(handle)
    spot = display(panel.static_bundle(), raw=True, display_id=True)
    widget = panel.widget_bundle()
    if widget:
        display(widget, raw=True)
    if getattr(get_ipython(), "kernel", None) is not None and not handle.is_over:
        panel.when_over(lambda: spot.update(panel.static_bundle(), raw=True))


class LivePanel(anywidget.AnyWidget):
    """Panel of a run.

    Parameters
    ----------
    handle : RunHandle
        The run; it may be waiting, running or over, started here or elsewhere.
    """

    _esm = HERE / "live.js"
    _css = HERE / "live.css"
    view = traitlets.Dict().tag(sync=True)
    stop_asked = traitlets.Bool(False).tag(sync=True)
    config = traitlets.Unicode("").tag(sync=True)
    static_class = traitlets.Unicode("").tag(sync=True)
    result_html = traitlets.Unicode("").tag(sync=True)

    def __init__(self, handle: RunHandle) -> None:
        self._handle = handle
        self._when_over: list[Callable[[], None]] = []
        super().__init__(
            view=run_view(handle.state), stop_asked=handle.directory.stop_asked(), config=_task_text(handle)
        )  # fmt: skip
        self.static_class = f"qnb-static-{self.model_id}"
        _answer_while_busy(self.comm)
        self.on_msg(self._received)
        if handle.is_over:
            self._show_result()
        else:
            threading.Thread(target=self._follow, name=f"qnb-panel-{handle.run_id}", daemon=True).start()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Return the live form with a text and a static form beside it, complete where no widget can be drawn."""
        return self.widget_bundle() | self.static_bundle()

    def static_bundle(self) -> dict[str, Any]:
        """Return the run as it stands as HTML without JavaScript and as text."""
        view = run_view(self._handle.state)
        html = static_html(view, self.result_html, name=f"qnb-static-{self.model_id}")
        return {"text/html": html, "text/plain": _text(view)}

    def widget_bundle(self) -> dict[str, Any]:
        """Return the live form alone; empty where there is no front end that a widget could talk to."""
        bundle = super()._repr_mimebundle_()
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        return {WIDGET: data[WIDGET]} if data and WIDGET in data else {}

    def when_over(self, call: Callable[[], None]) -> None:
        """Have `call` called, in the panel's thread, once the result of the run is there."""
        self._when_over.append(call)

    def _received(self, _: Any, content: dict[str, Any], __: Any) -> None:
        if content.get("kind") == "stop":
            self._handle.stop()
            self.stop_asked = True

    def _follow(self) -> None:
        """Send a new view when the journal grew, and once a second so that the clock goes on."""
        seq, sent = -1, 0.0
        while True:
            state = self._handle.state
            now = time.monotonic()
            if state.seq != seq or now - sent >= 1.0:
                seq, sent = state.seq, now
                self.view = run_view(state)
            if state.is_over:
                self._show_result()
                for call in self._when_over:
                    call()
                return
            time.sleep(INTERVAL)

    def _show_result(self) -> None:
        for _ in range(RESULT_RETRIES):  # the result file follows the last event by a moment
            if self._handle.directory.result() is not None:
                break
            time.sleep(INTERVAL)
        try:
            self.result_html = result_html(self._handle)
        except (QnbError, OSError) as error:
            self.result_html = static_html({"note": f"The result cannot be shown: {error}"}, "")


def _answer_while_busy(comm: Any) -> None:
    """Let the front end's choice of subshell stand for messages of `comm`, so that Stop works while a cell computes.

    JupyterLab sends them to a subshell, which is free then. ipykernel 7.4.0 sends them on to the shell that last wrote
    to the comm, which is the main one, and that one is busy. Other versions have no such hook.
    """
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda data, default: default


def _task_text(handle: RunHandle) -> str:
    try:
        return (handle.directory.path / "task.yaml").read_text(encoding="utf-8")
    except OSError:
        return "The run's directory holds no task.yaml."


def _text(view: dict[str, Any]) -> str:
    lines = [f"{view['name']}  {view['status_text']}  {view['elapsed']}".rstrip()]
    lines += [f"  {stage['title']:<10} {stage['status']:<9} {stage['time']}".rstrip() for stage in view["stages"]]
    if view["failure"]:
        lines.append(f"  {view['failure']['message']}")
    return "\n".join(lines)
