"""The live panel of one run: follows the journal and sends the browser a finished view at most ten times a second."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import anywidget
import traitlets
from IPython import get_ipython
from IPython.display import display

from ..errors import QnbError
from ..handle import RunHandle
from ..machine import process_id
from ..pool.place import Place
from ..reports.script import report_script
from ..task.records import records_of
from .comm import answer_while_busy
from .result import result_html
from .scripts import script, style
from .static import static_html
from .view import log_view, run_view

__all__ = ["WIDGET", "LivePanel", "redraw", "show"]

INTERVAL = 0.1
RESULT_SECONDS = 2.0
WIDGET = "application/vnd.jupyter.widget-view+json"
Retry = Callable[[RunHandle], RunHandle]


def show(handle: RunHandle, *, retry: Retry | None = None) -> None:
    """Show the panel of a run below the cell.

    Two outputs: the static form, which is brought up to date when the run is over and is what a saved notebook keeps,
    and the live panel, which hides the static form as long as it lives.

    Parameters
    ----------
    handle : RunHandle
        The run.
    retry : callable, optional
        Runs it again and returns the new handle; without it the panel has no button for that.
    """
    panel = LivePanel(handle, retry=retry)
    spot = display(panel.static_bundle(), raw=True, display_id=True)
    widget = panel.widget_bundle()
    if widget:
        display(widget, raw=True)
    if getattr(get_ipython(), "kernel", None) is not None:
        panel.when_over(lambda: spot.update(panel.static_bundle(), raw=True))


def redraw(run_id: str) -> None:
    """Draw the panels of a run anew that this process shows, after its name or its being there has changed."""
    for panel in list(_panels):
        panel.redraw(run_id)


_panels: weakref.WeakSet[LivePanel] = weakref.WeakSet()


class LivePanel(anywidget.AnyWidget):
    """Panel of a run.

    Parameters
    ----------
    handle : RunHandle
        The run; it may be waiting, running or over, started here or elsewhere.
    retry : callable, optional
        Runs it again and returns the new handle, which the panel then follows.
    """

    _esm = script("chart.js", "tabs.js", "live.js", more=report_script())
    _css = style("live.css")
    view = traitlets.Dict().tag(sync=True)
    panes = traitlets.List().tag(sync=True)
    log = traitlets.Dict().tag(sync=True)
    stop_asked = traitlets.Bool(False).tag(sync=True)
    config = traitlets.Unicode("").tag(sync=True)
    static_class = traitlets.Unicode("").tag(sync=True)
    result_html = traitlets.Unicode("").tag(sync=True)
    what_if = traitlets.Unicode("").tag(sync=True)

    def __init__(self, handle: RunHandle, *, retry: Retry | None = None) -> None:
        self._handle = handle
        self._retry = retry
        self._query = ("", False)
        self._when_over: list[Callable[[], None]] = []
        self._turn = threading.Lock()
        self._drawn: tuple[Any, ...] = ()
        super().__init__()
        self.static_class = f"qnb-static-{self.model_id}"
        answer_while_busy(self.comm)
        self.on_msg(self._received)
        self._follow_run(handle)
        _panels.add(self)

    def redraw(self, run_id: str) -> None:
        """Draw anew if it is this run that the panel shows."""
        if self._handle.run_id == run_id:
            self._draw()
            if self._handle.is_over:
                for call in self._when_over:
                    call()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Return the live form with a text and a static form beside it, complete where no widget can be drawn."""
        return self.widget_bundle() | self.static_bundle()

    def static_bundle(self) -> dict[str, Any]:
        """Return the run as it stands as HTML without JavaScript and as text."""
        with self._handle.reading() as state:
            view = run_view(state)
        html = static_html(view, self.result_html, name=f"qnb-static-{self.model_id}")
        return {"text/html": html, "text/plain": _text(view)}

    def widget_bundle(self) -> dict[str, Any]:
        """Return the live form alone; empty where there is no front end that a widget could talk to."""
        bundle = super()._repr_mimebundle_()
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        return {WIDGET: data[WIDGET]} if data and WIDGET in data else {}

    def when_over(self, call: Callable[[], None]) -> None:
        """Have `call` called once the result of the run is there, and when something of it changes later."""
        self._when_over.append(call)

    def _follow_run(self, handle: RunHandle) -> None:
        self._handle = handle
        self._origin = _origin(handle)
        self._trades = _trades(handle)
        self.config, self.result_html, self.what_if = handle.directory.task_text(), "", ""
        self.stop_asked = handle.directory.stop_asked()
        self._draw()
        if handle.is_over:
            self._show_result(handle)
        else:
            threading.Thread(
                target=self._follow, args=(handle,), name=f"qnb-panel-{handle.run_id}", daemon=True
            ).start()

    def _received(self, _: Any, content: dict[str, Any], __: Any) -> None:
        """Do what a button or the search asks for."""
        handle, kind = self._handle, content.get("kind")
        try:
            if kind == "stop":
                handle.stop()
                self.stop_asked = True
            elif kind == "next":
                handle.prefer()
            elif kind == "log":
                self._query = (str(content.get("text", "")), bool(content.get("warnings")))
                self._draw()
            elif kind == "retry" and self._retry is not None and handle.is_over:
                self._follow_run(self._retry(handle))
            elif kind == "what_if" and handle.status == "finished":
                from .whatif import WhatIfPanel

                self._sliders = WhatIfPanel(handle)
                self.what_if = self._sliders.model_id
            elif kind == "resume" and handle.is_over:
                from ..session import current_session

                current_session().resume(handle)
                self._follow_run(handle)
            elif kind not in ("retry", "what_if", "resume"):  # may read files and the recorder: not to be waited for
                threading.Thread(
                    target=self._answer, args=(handle, content), name="qnb-panel-answer", daemon=True
                ).start()
        except (QnbError, OSError) as error:
            self.view = {**self.view, "notes": [str(error)]}

    def _answer(self, handle: RunHandle, request: dict[str, Any]) -> None:
        from .tabs import answer

        content, buffers = answer(handle, request)
        self.send(content, buffers)

    def _draw(self) -> None:
        """Send what changed since it was drawn last."""
        with self._turn:
            handle = self._handle
            query = self._query
            with handle.reading() as state:
                view, seq = run_view(state), state.seq
                drawn = self._drawn == (handle.run_id, seq, query)
                log = self.log if drawn else log_view(state, query[0], warnings=query[1])
            panes = view.pop("panes")
            view["trades"] = self._trades
            view["can_retry"] = self._retry is not None and state.is_over
            view["has_report"] = bool(self.result_html) and handle.report is not None
            view["notes"] = [*view["notes"], *self._notes(handle)]
            with self.hold_sync():
                self.view = view
                if self._drawn[:2] != (handle.run_id, seq):
                    self.panes = panes
                self.log = log
            self._drawn = (handle.run_id, seq, query)

    def _notes(self, handle: RunHandle) -> list[str]:
        if handle.status == "waiting":
            return [_queue_note(handle)]
        if handle.directory.is_deleted:
            return ["This run was deleted. `mlflow runs restore` brings it back until its files are cleaned up."]
        if handle.damage and handle.status != "damaged":
            return [handle.damage]
        return [self._origin] if self._origin and not handle.is_over else []

    def _follow(self, handle: RunHandle) -> None:
        """Draw when the journal grew, and once a second so that the clock goes on."""
        seq, sent = -1, 0.0
        while self._handle is handle:
            state = handle.state
            now = time.monotonic()
            if state.seq != seq or now - sent >= 1.0:
                seq, sent = state.seq, now
                self._draw()
            if state.is_over:
                self._show_result(handle)
                for call in self._when_over:
                    call()
                return
            time.sleep(INTERVAL)

    def _show_result(self, handle: RunHandle) -> None:
        # Where the disk is full, or somebody else ended the run, its result follows the last event by a moment.
        while handle.directory.result() is None and time.time() - handle.state.last_event < RESULT_SECONDS:
            time.sleep(INTERVAL)
        try:
            self.result_html = result_html(handle)
        except (QnbError, OSError) as error:
            self.result_html = static_html({"note": f"The result cannot be shown: {error}"}, "")
        self._draw()


def _place(handle: RunHandle) -> Place:
    return Place(handle.directory.path.parents[2])


def _queue_note(handle: RunHandle) -> str:
    """Return how many runs are ahead of one that waits."""
    waiting = _place(handle).status().get("waiting", [])
    if handle.run_id not in waiting:
        return "Waiting for a worker."
    ahead = waiting.index(handle.run_id)
    return f"Waiting: {ahead} run{'s' * (ahead != 1)} ahead." if ahead else "Waiting: next when a worker is free."


def _origin(handle: RunHandle) -> str:
    """Return where the run comes from, if it is not from this process."""
    try:
        submitter = handle.request.submitter
    except QnbError:
        return ""
    if not submitter.pid or submitter == process_id():
        return ""
    if submitter.alive:
        return "Started from another notebook. You can watch and ask to stop."
    return "This run began before the kernel restarted."


def _trades(handle: RunHandle) -> bool:
    try:
        return any(facts.trades for facts in records_of(handle.request.task))
    except QnbError:
        return False


def _text(view: dict[str, Any]) -> str:
    lines = [f"{view['name']}  {view['status_text']}  {view['elapsed']}".rstrip()]
    lines += [f"  {stage['title']:<10} {stage['status']:<9} {stage['time']}".rstrip() for stage in view["stages"]]
    lines += [f"  {name} {value} {more}".rstrip() for name, value, more in view["facts"]]
    if view["failure"]:
        lines.append(f"  {view['failure']['message']}")
    if view["stop_reason"]:
        lines.append(f"  {view['stop_reason']}")
    return "\n".join(lines)
