"""The experiment browser: a page of runs at a time, found, compared and changed in the kernel, drawn in the page.

The front end sends small requests (`RunsBrowser.answer` lists them); every one is answered with a message of finished
texts. What takes long (curves, comparisons) is done in a thread and sent when it is there.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets
from IPython.display import display

from ..cleaning import delete_run
from ..config import Settings
from ..errors import ConfigError, PoolError, QnbError
from ..handle import RunHandle
from ..recorder.base import RunInfo
from ..recorder.browse import SCANNED, RunIndex, RunQuery
from ..reports.numbers import counted
from .browser_rows import COLUMNS, Rows, column_of, sort_key
from .browser_static import runs_html, runs_text
from .comm import answer_while_busy
from .compare import MOST_RUNS, compare_parts, config_rows, labels_of, load_part, metric_rows
from .compare_view import comparison_view, tables_view
from .measures import measure_of
from .run_cell import run_cell
from .scripts import script, style

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RunsBrowser"]

PAGE = 100
STATIC_ROWS = 50
CURVE_POINTS = 56
CURVE_BATCH = 12
PATIENCE = 2.0
WIDGET = "application/vnd.jupyter.widget-view+json"


@dataclass(frozen=True, slots=True)
class _Doomed:
    """A run that is to be deleted: its row, its id in the store or '', its directory or None."""

    ref: str
    name: str
    recorded: str
    handle: RunHandle | None


class RunsBrowser(anywidget.AnyWidget):
    """All experiments and runs of a store, those of plain MLflow included.

    Parameters
    ----------
    settings : Settings
        Where recorder and run directories are.
    experiment : str
        Only this experiment; '' for all.
    text : str
        MLflow's filter grammar, or words.
    limit : int
        Runs a page.

    Raises
    ------
    QnbError
        For an unknown experiment, or a filter that cannot be read.
    """

    _esm = script("lines.js", "browser.js")
    _css = style("browser.css")
    first = traitlets.Dict().tag(sync=True)
    static_class = traitlets.Unicode("").tag(sync=True)

    def __init__(self, settings: Settings, *, experiment: str = "", text: str = "", limit: int = PAGE) -> None:
        self._settings = settings
        from ..session import Session

        Session(settings).going()  # marks the runs whose process is gone
        self._index = RunIndex(settings.tracking_uri, work_dir=settings.work_dir)
        self._rows = Rows(settings.runs_dir, self._index.run)
        self._limit = max(1, limit)
        self._curves: dict[str, list[float]] = {}
        self._doomed: dict[str, list[_Doomed]] = {}
        self._children: dict[str, Any] = {}
        self._answered = threading.Event()
        self._answered.set()
        self._query = RunQuery(text=text, experiment=experiment, limit=self._limit)
        page = self._page(self._query, COLUMNS)
        super().__init__(first={**page, "text": text, "experiment": experiment})
        self.static_class = f"qnb-static-{self.model_id}"
        answer_while_busy(self.comm)
        self.on_msg(self._received)

    def frame(self, limit: int = 1000) -> pd.DataFrame:
        """Return the newest runs that fit as a frame: one row a run, columns as MLflow names them."""
        from ..recorder.experiment import runs_frame

        query = RunQuery(text=self._query.text, experiment=self._query.experiment, limit=limit)
        return runs_frame(self._index.page(query).runs)

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the reply to a request of the front end; None where it comes later or there is none.

        ``query`` (text, experiment, sort, columns, offset, depth), ``keys``, ``curves`` (ids), ``compare`` (ids),
        ``open`` and ``what_if`` (id), ``cell`` (id), ``tag`` and ``untag`` (ids, key, value), ``rename`` (id, name),
        ``ask_delete`` (ids), which gives names and a token, and ``delete`` (token).

        Raises
        ------
        QnbError
            When it cannot be done.
        """
        kind = request.get("kind")
        ids = [str(i) for i in request.get("ids", ())]
        match kind:
            case "query":
                return self._answer_query(request)
            case "keys":
                return self._keys()
            case "curves":
                self._in_thread(lambda: self._send_curves(ids))
            case "compare":
                return self._compare(ids)
            case "open":
                return self._open(str(request.get("id", "")))
            case "what_if":
                return self._what_if(str(request.get("id", "")))
            case "cell":
                run = self._run(str(request.get("id", "")))
                return {"kind": "cell", "text": run_cell(run, self._rows.handle(run), self._store())}
            case "tag":
                for i in ids:
                    self._index.tag(self._run(i).run_id, str(request.get("key", "")), str(request.get("value", "")))
                return {"kind": "changed", "text": f"Tagged {counted(len(ids), 'run')}."}
            case "untag":
                for i in ids:
                    self._index.untag(self._run(i).run_id, str(request.get("key", "")))
                return {"kind": "changed", "text": "Tag removed."}
            case "rename":
                return self._rename(self._run(str(request.get("id", ""))), str(request.get("name", "")))
            case "ask_delete":
                return self._ask_delete(ids)
            case "delete":
                return self._delete(str(request.get("token", "")))
        return None

    def _answer_query(self, request: Mapping[str, Any]) -> dict[str, Any]:
        sort = request.get("sort") or {}
        by = sort_key(str(sort.get("key", "")), descending=bool(sort.get("descending"))) if sort else None
        query = RunQuery(
            str(request.get("text", "")), str(request.get("experiment", "")), by, int(request.get("offset", 0)),
            min(int(request.get("limit", self._limit)), 1000), max(SCANNED, int(request.get("depth", 0))),
        )  # fmt: skip
        columns = [str(c) for c in request.get("columns", COLUMNS)][:60]
        return self._page(query, columns)

    def _page(self, query: RunQuery, columns: Sequence[str]) -> dict[str, Any]:
        page = self._index.page(query)
        rows = [self._rows.row(run, columns) for run in page.runs]
        extra: list[dict[str, Any]] = []
        if not query.offset and not query.text and query.sort is None:
            known = {r.shown_id for r in page.runs}
            extra = [
                row
                for row in self._rows.waiting(known, columns)
                if not query.experiment or row["experiment"] == query.experiment
            ]
        return {
            "kind": "page",
            "rows": [*extra, *rows],
            "offset": query.offset,
            "matching": page.matching + len(extra),
            "total": page.total + len(extra),
            "searched": page.searched,
            "columns": [column_of(c).to_json() for c in columns],
            "experiments": [e.name for e in self._index.experiments()],
        }

    def _keys(self) -> dict[str, Any]:
        keys = self._index.keys()
        own = ("status", "experiment", "model", "features", "tags", "curve", "seconds", "start", "user", "run_id")
        found = [column_of(k).to_json() for k in own]
        for kind in ("metrics", "params", "tags"):
            hidden = ("mlflow.", "qnb.") if kind == "tags" else ("cmd-sys.",)
            found += [column_of(f"{kind}.{k}").to_json() for k in keys[kind] if not k.startswith(hidden)]
        return {"kind": "keys", "columns": found}

    def _send_curves(self, ids: Sequence[str]) -> None:
        from .browser_curves import excess_curve

        store = self._store()
        batch: dict[str, list[float]] = {}
        for n, run_id in enumerate(ids, start=1):
            if run_id not in self._curves:
                self._answered.wait(PATIENCE)  # who types is not to wait for curves
                self._curves[run_id] = excess_curve(store, run_id, points=CURVE_POINTS)
            batch[run_id] = self._curves[run_id]
            if len(batch) == CURVE_BATCH or n == len(ids):
                self.send({"kind": "curves", "curves": batch})
                batch = {}

    def _compare(self, ids: Sequence[str]) -> dict[str, Any]:
        if not 2 <= len(ids) <= MOST_RUNS:
            raise ConfigError(f"two to {MOST_RUNS} runs can be compared, {len(ids)} are selected")
        runs = [self._run(i) for i in ids]
        labels, store = labels_of(runs), self._store()
        light = [load_part(store, run, label, deep=False) for run, label in zip(runs, labels, strict=True)]

        def whole() -> None:
            parts = [load_part(store, run, label) for run, label in zip(runs, labels, strict=True)]
            self.send({"kind": "comparison", "ids": list(ids), "view": comparison_view(compare_parts(parts))})

        self._in_thread(whole)
        config, keys = config_rows(light)
        return {"kind": "comparison", "ids": list(ids), "view": tables_view(light, config, keys, metric_rows(light))}

    def _open(self, ref: str) -> dict[str, Any]:
        """Make the panel of a run, or tell what the store has of one without a directory."""
        run = None if ref.startswith("dir:") else self._run(ref)
        handle = self._rows.handle_of(ref[4:]) if run is None else self._rows.handle(run)
        if handle is not None:
            from .live import LivePanel

            if ref not in self._children:
                self._children[ref] = LivePanel(handle)
            return {"kind": "opened", "id": ref, "model": self._children[ref].model_id}
        if run is None:
            raise ConfigError(f"run {ref[4:]} has no directory any more; refresh the list")
        files = self._store().files(run.run_id)
        return {
            "kind": "details",
            "id": ref,
            "name": run.name,
            "facts": [["Experiment", run.experiment], ["Run", run.shown_id], ["Artifacts", run.artifact_uri]],
            "metrics": [[key, measure_of(key).write(value)] for key, value in run.metrics.items()],
            "params": [[key, value[:400]] for key, value in run.params.items()],
            "tags": [[key, value[:400]] for key, value in run.tags.items()],
            "artifacts": [a.path + ("/" if a.is_dir else "") for a in files],
        }

    def _what_if(self, run_id: str) -> dict[str, Any]:
        run = self._run(run_id)
        handle = self._rows.handle(run)
        if handle is None:
            raise ConfigError(f"run {run.name!r} has no directory here; what-if needs the run's own settings")
        from .whatif import WhatIfPanel

        key = f"what_if:{run_id}"
        if key not in self._children:
            self._children[key] = WhatIfPanel(handle)
        return {"kind": "opened", "id": run_id, "model": self._children[key].model_id}

    def _rename(self, run: RunInfo, name: str) -> dict[str, Any]:
        self._index.rename(run.run_id, name)
        handle = self._rows.handle(run)
        if handle is not None:
            handle.directory.rename(name.strip())
            _redraw(handle.run_id)
        return {"kind": "changed", "text": "Renamed."}

    def _ask_delete(self, ids: Sequence[str]) -> dict[str, Any]:
        doomed = [self._doom(ref) for ref in ids]
        going = [d.name for d in doomed if d.handle is not None and not (d.handle.is_over and not d.handle.has_ticket)]
        if going:
            raise ConfigError(f"{going[0]!r} is still going; stop it before you delete it")
        if not doomed:
            raise ConfigError("no run is selected; select one first")
        token = secrets.token_hex(8)
        self._doomed = {token: doomed}
        return {
            "kind": "confirm_delete",
            "token": token,
            "names": [d.name for d in doomed[:10]],
            "count": len(doomed),
            "text": "Metrics, params, tags and artifacts go with it. `mlflow runs restore --run-id ID` brings a run "
            "back until `mlflow gc` and `qnb runs --clean` remove its files.",
        }

    def _doom(self, ref: str) -> _Doomed:
        if ref.startswith("dir:"):
            handle = self._rows.handle_of(ref[4:])
            if handle is None:
                raise ConfigError(f"run {ref[4:]} has no directory any more; refresh the list")
            return _Doomed(ref, handle.name, "", handle)
        run = self._run(ref)
        return _Doomed(ref, run.name, run.run_id, self._rows.handle(run))

    def _delete(self, token: str) -> dict[str, Any]:
        doomed = self._doomed.pop(token, None)
        if doomed is None:
            raise ConfigError("nothing was deleted: the confirmation is not of this selection; ask again")
        gone, kept = [], []
        for run in doomed:
            forget = partial(self._index.delete, run.recorded) if run.recorded else lambda: None
            try:
                if run.handle is not None:
                    delete_run(run.handle, forget)
                    _redraw(run.handle.run_id)
                else:
                    forget()
            except PoolError as error:  # it was had go on between the question and the answer
                kept.append(f" Kept: {error}.")
            else:
                gone.append(run.ref)
        return {"kind": "changed", "text": f"Deleted {counted(len(gone), 'run')}.{''.join(kept)}", "deleted": gone}

    def _received(self, _: Any, content: dict[str, Any], __: Any) -> None:
        self._answered.clear()
        try:
            reply = self.answer(content)
        except QnbError as error:
            reply = {"kind": "error", "text": str(error), "to": content.get("kind")}
        finally:
            self._answered.set()
        if reply is not None:
            self.send({**reply, "seq": content.get("seq")})

    def _in_thread(self, work: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
            except (QnbError, OSError) as error:
                self.send({"kind": "error", "text": str(error)})

        threading.Thread(target=guarded, name="qnb-browser", daemon=True).start()

    def _run(self, run_id: str) -> RunInfo:
        return self._index.run(run_id)

    def _store(self) -> Any:
        return self._index.store()

    def static_bundle(self) -> dict[str, Any]:
        """Return the newest runs as HTML without script and as text."""
        page = {**self.first, "rows": self.first["rows"][:STATIC_ROWS]}
        columns = [column_of(c["key"]) for c in self.first["columns"]]
        html = runs_html(page, columns, name=f"qnb-static-{self.model_id}")
        return {"text/html": html, "text/plain": runs_text(page, columns)}

    def widget_bundle(self) -> dict[str, Any]:
        """Return the live form alone; empty where there is no front end that a widget could talk to."""
        bundle = super()._repr_mimebundle_()
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        return {WIDGET: data[WIDGET]} if data and WIDGET in data else {}

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self.widget_bundle() | self.static_bundle()

    def _ipython_display_(self) -> None:
        """Show the static form, which a saved notebook keeps, and the live one, which hides it while it lives."""
        display(self.static_bundle(), raw=True)
        widget = self.widget_bundle()
        if widget:
            display(widget, raw=True)

    def __repr__(self) -> str:
        return str(self.static_bundle()["text/plain"])


def _redraw(run_id: str) -> None:
    from .live import redraw

    redraw(run_id)
