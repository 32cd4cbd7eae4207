"""The what-if panel: sliders of a finished run's portfolio, redrawn from the array backtest in well under a second."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets
from IPython.display import display

from ..errors import QnbError
from ..handle import RunHandle
from .comm import answer_while_busy
from .scripts import script, style
from .whatif_view import knobs_from, knobs_view, outcome_view, what_if_html

if TYPE_CHECKING:
    from ..whatif import WhatIf

__all__ = ["WhatIfPanel"]

WIDGET = "application/vnd.jupyter.widget-view+json"


class WhatIfPanel(anywidget.AnyWidget):
    """Sliders for topk, n_drop, costs, price limit and deal price of a finished run.

    Parameters
    ----------
    handle : RunHandle
        A finished run with a portfolio record.
    name : str
        Its name where it is shown.

    Raises
    ------
    BacktestError
        The run has not finished or has no backtest.
    """

    _esm = script("lines.js", "whatif.js")
    _css = style("browser.css", "whatif.css")
    run_name = traitlets.Unicode("").tag(sync=True)
    knobs = traitlets.List().tag(sync=True)
    view = traitlets.Dict().tag(sync=True)
    error = traitlets.Unicode("").tag(sync=True)
    static_class = traitlets.Unicode("").tag(sync=True)

    def __init__(self, handle: RunHandle) -> None:
        from ..whatif import what_if_of

        self._what_if: WhatIf = what_if_of(handle)
        self._now = self._what_if.base
        self._wanted: dict[str, Any] | None = None
        self._turn = threading.Condition()
        self._working = False
        super().__init__(run_name=handle.name, knobs=knobs_view(self._what_if), view=self._view({}))
        self.static_class = f"qnb-static-{self.model_id}"
        answer_while_busy(self.comm)
        self.on_msg(self._received)

    @property
    def what_if(self) -> WhatIf:
        """The engine behind the sliders."""
        return self._what_if

    def to_yaml(self) -> str:
        """Return the portfolio record with the settings as they stand."""
        return self._what_if.to_yaml(self._now)

    def move(self, **values: Any) -> None:
        """Move sliders, in the units of the panel (bp, %), and redraw before returning.

        Raises
        ------
        QnbError
            For settings that make no sense.
        """
        self.view = self._view(values)

    def _view(self, values: dict[str, Any]) -> dict[str, Any]:
        began = time.perf_counter()
        knobs = knobs_from(self._what_if, values)
        outcome = self._what_if.run(knobs)
        self._now = knobs
        return outcome_view(self._what_if, outcome, seconds=time.perf_counter() - began)

    def _received(self, _: Any, content: dict[str, Any], __: Any) -> None:
        if content.get("kind") != "move":
            return
        with self._turn:
            self._wanted = dict(content.get("values") or {})
            if self._working:
                return
            self._working = True
        threading.Thread(target=self._work, name="qnb-what-if", daemon=True).start()

    def _work(self) -> None:
        """Run what is wanted last; what was wanted in between is skipped."""
        while True:
            with self._turn:
                values, self._wanted = self._wanted, None
                if values is None:
                    self._working = False
                    return
            try:
                self.view = self._view(values)
                self.error = ""
            except QnbError as error:
                self.error = str(error)

    def static_bundle(self) -> dict[str, Any]:
        """Return run and what-if as HTML without script and as text."""
        outcome = self._what_if.run(self._now)
        html = what_if_html(self._what_if, outcome, name=f"qnb-static-{self.model_id}")
        lines = [f"{r['title']:<22} {r['base']:>10} {r['now']:>10} {r['difference']:>10}" for r in self.view["rows"]]
        return {"text/html": html, "text/plain": "\n".join([f"what if: {self.run_name}", *lines])}

    def widget_bundle(self) -> dict[str, Any]:
        """Return the live form alone; empty where there is no front end that a widget could talk to."""
        bundle = super()._repr_mimebundle_()
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        return {WIDGET: data[WIDGET]} if data and WIDGET in data else {}

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self.widget_bundle() | self.static_bundle()

    def _ipython_display_(self) -> None:
        display(self.static_bundle(), raw=True)
        widget = self.widget_bundle()
        if widget:
            display(widget, raw=True)

    def __repr__(self) -> str:
        return str(self.static_bundle()["text/plain"])
