"""The last stage of a run: gathers what the records left and writes the report beside it."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..config import Settings
from ..errors import DataError, RecorderError
from ..events import ArtifactSaved, Emit, LogLine
from ..files import write_atomically
from ..scratch import scratch_folder
from ..task.spec import Task

__all__ = ["write_report"]

_FRAMES = {
    "pred": "pred.pkl",
    "label": "label.pkl",
    "report": "portfolio_analysis/report_normal_1day.pkl",
    "positions": "portfolio_analysis/positions_normal_1day.pkl",
    "indicators": "portfolio_analysis/indicators_normal_1day.pkl",
    "orders": "portfolio_analysis/orders_1day.pkl",
}
_MODEL_NAMES = {
    "LGBModel": "LightGBM",
    "XGBModel": "XGBoost",
    "CatBoostModel": "CatBoost",
    "LinearModel": "Linear model",
}
_PACKAGES = ("qnb", "numpy", "pandas", "lightgbm", "xgboost", "catboost", "scikit-learn", "torch")


def write_report(
    task: Task,
    *,
    recorder: Any,
    dataset: Any,
    settings: Settings,
    emit: Emit,
    run_id: str = "",
    seconds: float | None = None,
    directory: Path | None = None,
) -> Path | None:
    """Draw the report from the recorder's artifacts and save it there: ``report.html`` and ``report/<figure>.json``.

    Parameters
    ----------
    directory : Path, optional
        Where what panels show is left, too: ``fragment.html``, and ``live.html`` with all figures.

    Returns
    -------
    Path or None
        The HTML file on this machine; None where the recorder's artifacts are elsewhere or there is nothing to show.
    """
    frames = {name: _load(recorder, path) for name, path in _FRAMES.items()}
    if all(frame is None for frame in frames.values()):
        emit(LogLine(text="no report: the task has neither a signal nor a portfolio record", stage="report"))
        return None
    from ..reports.build import build_report
    from ..reports.html import report_fragment, write_html
    from ..reports.types import ReportInput, RunFacts

    backtest = _backtest_config(task)
    data = ReportInput(
        title=_title(task),
        run=RunFacts(
            name=recorder.name, experiment=task.experiment or settings.experiment, run_id=run_id, status="Finished",
            started=datetime.now() if seconds is None else datetime.fromtimestamp(datetime.now().timestamp() - seconds),
            seconds=seconds,
        ),
        segments=dict(getattr(dataset, "segments", {}) or {}),
        metrics=dict(recorder.list_metrics()),
        benchmark=str(backtest.get("benchmark", "") if isinstance(backtest.get("benchmark", ""), str) else ""),
        costs=_costs(backtest),
        task_summary=_summary(task, backtest),
        provenance=_provenance(task, dataset, settings),
        currency={"cn": "CNY", "us": "USD", "tw": "TWD"}.get(settings.region.name, ""),
        orders_file="portfolio_analysis/orders_1day.parquet" if frames["orders"] is not None else "",
        made=datetime.now(),
        **frames,
    )  # fmt: skip
    report = build_report(data)
    for name, figure in report.figure_json().items():
        recorder.save_objects(artifact_path="report", **{f"{name}.json": figure})
        emit(ArtifactSaved(name=f"report/{name}.json", kind="figure"))
    if directory is not None:
        write_atomically(directory / "fragment.html", report_fragment(report))
        write_atomically(directory / "live.html", report_fragment(report, live=True))
    return _save_html(recorder, lambda path: write_html(report, path), emit)


def _save_html(recorder: Any, write: Any, emit: Emit) -> Path | None:
    with scratch_folder() as folder:
        path = folder / "report.html"
        write(path)
        size = path.stat().st_size
        recorder.log_artifact(str(path))
    emit(ArtifactSaved(name="report.html", kind="html", bytes=size))
    local = recorder.artifact_dir
    if local is None:
        return None
    saved = local / "report.html"
    return saved if saved.exists() else None


def _load(recorder: Any, path: str) -> Any:
    try:
        return recorder.load_object(path)
    except RecorderError:
        return None


def _title(task: Task) -> str:
    model = _name(task.model)
    handler = _handler(task)
    features = _name(handler) if handler else ""
    universe = handler.get("kwargs", {}).get("instruments") if isinstance(handler, Mapping) else None
    title = _MODEL_NAMES.get(model, model)
    if features and features not in ("DataHandlerLP", "DataHandler"):
        title += f" on {features}"
    return f"{title}, {universe}" if isinstance(universe, str) else title


def _name(config: Any) -> str:
    name = config.get("class", "") if isinstance(config, Mapping) else config
    return str(name).rpartition(".")[2] if isinstance(name, str) else getattr(name, "__name__", "")


def _handler(task: Task) -> Mapping[str, Any] | None:
    dataset = task.dataset
    handler = dataset.get("kwargs", {}).get("handler") if isinstance(dataset, Mapping) else None
    return handler if isinstance(handler, Mapping) else None


def _backtest_config(task: Task) -> dict[str, Any]:
    for record in task.records:
        if isinstance(record, Mapping):
            config = (record.get("kwargs") or {}).get("config")
            if isinstance(config, Mapping) and "backtest" in config:
                return dict(config["backtest"]) | {"strategy": config.get("strategy")}
    return {}


def _costs(backtest: Mapping[str, Any]) -> Any:
    from ..reports.types import CostTerms

    exchange = backtest.get("exchange_kwargs") or {}
    if not backtest:
        return None
    return CostTerms(
        float(exchange.get("open_cost", 0.0015)),
        float(exchange.get("close_cost", 0.0025)),
        float(exchange.get("min_cost", 5.0)),
    )


def _summary(task: Task, backtest: Mapping[str, Any]) -> Any:
    from ..reports.types import TaskSummary

    strategy = backtest.get("strategy")
    kwargs = (strategy.get("kwargs") or {}) if isinstance(strategy, Mapping) else {}
    handler = _handler(task) or {}
    universe = (handler.get("kwargs") or {}).get("instruments")
    price = (backtest.get("exchange_kwargs") or {}).get("deal_price", "close")
    return TaskSummary(
        universe=universe if isinstance(universe, str) else "",
        topk=kwargs.get("topk"),
        n_drop=kwargs.get("n_drop"),
        deal_price=str(price),
    )


def _provenance(task: Task, dataset: Any, settings: Settings) -> dict[str, dict[str, str]]:
    data: dict[str, str] = {"Store": settings.uri_for("day"), "Region": settings.region.name}
    fingerprint = getattr(dataset, "fingerprint", "")
    if fingerprint:
        data["Fingerprint"] = str(fingerprint)[:16]
    try:
        from ..data.provider import open_store

        calendar = open_store(settings).calendar
        data["Calendar"] = f"{str(calendar[0])[:10]} to {str(calendar[-1])[:10]}"
    except DataError:
        pass
    commit = _git("rev-parse", "--short", "HEAD")
    changes = _git("status", "--porcelain")
    work = {"Hash": task.hash[:16], "Threads": str(settings.threads)}
    if commit:
        work["Commit"] = commit + (", with changes" if changes else ", no changes")
    packages = {"Python": platform.python_version()}
    for name in _PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    packages["Platform"] = f"{platform.system()} {platform.machine()}"
    return {"Data": data, "Task": work, "Packages": packages}


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", *words], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
