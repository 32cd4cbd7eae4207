"""Several runs in one panel: their curves over each other, live."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import anywidget
import traitlets
from IPython.display import display

from ..handle import RunHandle
from .live import WIDGET
from .scripts import script, style
from .static import overlay_html
from .view import overlay_view

__all__ = ["OverlayPanel", "show_overlay"]

INTERVAL = 0.2


def show_overlay(handles: Sequence[RunHandle]) -> None:
    """Show the curves of several runs in one panel; where no widget can be drawn, as a static picture."""
    panel = OverlayPanel(handles)
    display(panel.static_bundle(), raw=True)
    widget = panel.widget_bundle()
    if widget:
        display(widget, raw=True)


class OverlayPanel(anywidget.AnyWidget):
    """Curves of several runs over each other.

    Parameters
    ----------
    handles : sequence of RunHandle
        Waiting, running or over.
    """

    _esm = script("chart.js", "overlay.js")
    _css = style("live.css")
    view = traitlets.Dict().tag(sync=True)
    static_class = traitlets.Unicode("").tag(sync=True)

    def __init__(self, handles: Sequence[RunHandle]) -> None:
        self._handles = tuple(handles)
        super().__init__(view=self._now())
        self.static_class = f"qnb-static-{self.model_id}"
        if not self.view["over"]:
            threading.Thread(target=self._follow, name="qnb-overlay", daemon=True).start()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Return the live form with a text and a static form beside it."""
        return self.widget_bundle() | self.static_bundle()

    def static_bundle(self) -> dict[str, Any]:
        """Return the runs as they stand as HTML without JavaScript and as text."""
        view = self._now()
        text = "\n".join(f"{r['name']}  {r['status_text']}  {r['elapsed']}" for r in view["runs"])
        return {"text/html": overlay_html(view, name=f"qnb-static-{self.model_id}"), "text/plain": text}

    def widget_bundle(self) -> dict[str, Any]:
        """Return the live form alone; empty where there is no front end that a widget could talk to."""
        bundle = super()._repr_mimebundle_()
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        return {WIDGET: data[WIDGET]} if data and WIDGET in data else {}

    def _now(self) -> dict[str, Any]:
        with ExitStack() as stack:
            for handle in sorted(self._handles, key=id):  # in one order, so that two panels never wait for each other
                stack.enter_context(handle.reading())
            return overlay_view([handle.state for handle in self._handles])

    def _follow(self) -> None:
        while not self.view["over"]:
            time.sleep(INTERVAL)
            self.view = self._now()
