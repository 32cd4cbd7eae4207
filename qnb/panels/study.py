"""The panel of a study: follows its events and sends the browser a finished view at most twice a second."""

from __future__ import annotations

import threading
import time
from typing import Any

import anywidget
import traitlets
from IPython import get_ipython
from IPython.display import display

from ..errors import QnbError
from ..tuning.handle import StudyHandle
from .scripts import script, style
from .study_static import study_html, study_text
from .study_view import study_view

__all__ = ["StudyPanel", "show_study"]

INTERVAL = 0.5
WIDGET = "application/vnd.jupyter.widget-view+json"


def show_study(handle: StudyHandle) -> None:
    """Show the panel of a study below the cell: the live form, and a static one that a saved notebook keeps."""
    panel = StudyPanel(handle)
    spot = display(panel.static_bundle(), raw=True, display_id=True)
    widget = panel.widget_bundle()
    if widget:
        display(widget, raw=True)
    if getattr(get_ipython(), "kernel", None) is not None and not handle.is_over:
        panel.when_over(lambda: spot.update(panel.static_bundle(), raw=True))


class StudyPanel(anywidget.AnyWidget):
    """Panel of a study.

    Parameters
    ----------
    handle : StudyHandle
        The study; it may be going on or over, started here or elsewhere.
    """

    _esm = script("study.js")
    _css = style("live.css", "study.css")
    view = traitlets.Dict().tag(sync=True)
    config = traitlets.Unicode("").tag(sync=True)
    promoted = traitlets.Dict().tag(sync=True)
    static_class = traitlets.Unicode("").tag(sync=True)

    def __init__(self, handle: StudyHandle) -> None:
        self._handle = handle
        self._when_over: list[Any] = []
        self._following: threading.Thread | None = None
        super().__init__(view=self._seen(), config=_text(handle))
        self.static_class = f"qnb-static-{self.model_id}"
        if hasattr(self.comm, "_reply_subshell_for"):  # buttons work while a cell computes, see qnb.panels.live
            self.comm._reply_subshell_for = lambda data, default: default
        self.on_msg(self._received)
        if not handle.is_over:
            self._follow()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Return the live form with a text and a static form beside it, complete where no widget can be drawn."""
        return self.widget_bundle() | self.static_bundle()

    def static_bundle(self) -> dict[str, Any]:
        """Return the study as it stands as HTML without JavaScript and as text."""
        view = self._seen()
        return {
            "text/html": study_html(view, name=f"qnb-static-{self.model_id}"), "text/plain": study_text(view),
        }  # fmt: skip

    def widget_bundle(self) -> dict[str, Any]:
        """Return the live form alone; empty where there is no front end that a widget could talk to."""
        bundle = super()._repr_mimebundle_()
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        return {WIDGET: data[WIDGET]} if data and WIDGET in data else {}

    def when_over(self, call: Any) -> None:
        """Have `call` called, in the panel's thread, once the study is over."""
        self._when_over.append(call)

    def _seen(self) -> dict[str, Any]:
        with self._handle.reading() as state:
            return study_view(state, status=self._handle.status)

    def _received(self, _: Any, content: dict[str, Any], __: Any) -> None:
        """Do what a button asks for: stop, pause, resume, promote."""
        try:
            match content.get("kind"):
                case "stop":
                    self._handle.stop()
                case "pause":
                    self._handle.pause()
                case "resume":
                    try:
                        self._handle.resume()
                    finally:
                        self._follow()  # perhaps as a viewer of what another notebook had go on
                case "promote":
                    trial = int(content.get("trial", -1))
                    self.promoted = {"trial": trial, "text": self._handle.cell_of(trial)}
        except QnbError as error:
            self.promoted = {"trial": -1, "text": str(error)}

    def _follow(self) -> None:
        if self._following is None or not self._following.is_alive():
            name = f"qnb-study-{self._handle.directory.study_id}"
            self._following = threading.Thread(target=self._watch, name=name, daemon=True)
            self._following.start()

    def _watch(self) -> None:
        """Send a new view when something happened, and once a second so that the clock goes on."""
        seq, sent, status = -1, 0.0, ""
        while True:
            state, now_status, now = self._handle.state, self._handle.status, time.monotonic()
            if state.seq != seq or now_status != status or now - sent >= 1.0:
                seq, sent, status = state.seq, now, now_status
                self.view = self._seen()
            if self._handle.is_over:
                self.view = self._seen()
                for call in self._when_over:
                    call()
                return
            time.sleep(INTERVAL)


def _text(handle: StudyHandle) -> str:
    try:
        return (handle.directory.path / "study.yaml").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "The study's directory holds no study.yaml."
