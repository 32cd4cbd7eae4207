"""Makes a store with many runs: most as plain MLflow writes them, some as finished runs of qnb with artifacts.

And directories of many runs, as a working folder has them after some weeks.
"""

from __future__ import annotations

import shutil
import sqlite3
import uuid
from pathlib import Path

import numpy as np
import pandas as pd

MODELS = ("LGBModel", "XGBModel", "LinearModel", "GRU")
EXPERIMENTS = 5
FIRST_MS = 1_790_000_000_000


def make_store(folder: Path, *, runs: int = 10_000, finished: int = 100, days: int = 871) -> str:
    """Fill ``folder/mlflow.db`` and return its URI; run k of `finished` is ``qnb k``, the others ``run k``.

    Rows are written in bulk, as one transaction: through MLflow this would take ten minutes.
    """
    from qnb.recorder.stores import open_store

    uri = f"sqlite:///{folder / 'mlflow.db'}"
    store = open_store(uri)
    experiments = [store.create_experiment(f"study {k}") for k in range(EXPERIMENTS)]
    store.close()  # type: ignore[attr-defined]
    rng = np.random.default_rng(7)
    with sqlite3.connect(folder / "mlflow.db") as db:
        for k in range(runs):
            ours = k < finished
            experiment = experiments[k % EXPERIMENTS]
            run_id = uuid.UUID(int=rng.integers(0, 2**63).item() << 64 | k).hex
            start = FIRST_MS + k * 60_000
            place = Path(experiment.artifact_location) / run_id / "artifacts"
            name = f"qnb {k}" if ours else f"run {k}"
            db.execute(
                "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, "
                "start_time, end_time, source_version, lifecycle_stage, artifact_uri, experiment_id) "
                "VALUES (?, ?, 'UNKNOWN', '', '', 'me', 'FINISHED', ?, ?, '', 'active', ?, ?)",
                (run_id, name, start, start + 40_000, str(place), experiment.id),
            )
            metrics = _metrics(rng, 25 if ours else 6)
            rows = [(key, value, start, run_id, 0, False) for key, value in metrics.items()]
            for table in ("metrics", "latest_metrics"):
                db.executemany(
                    f"INSERT INTO {table} (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, ?, ?)",
                    rows,
                )
            params = {"model.class": MODELS[k % 4], "dataset.kwargs.handler.class": "Alpha158"}
            params |= {f"model.kwargs.p{n}": str(rng.integers(100)) for n in range(40 if ours else 10)}
            tags = {"mlflow.runName": name, "mlflow.user": "me", "mlflow.source.name": "train.py"}
            tags |= {"market": ("csi300", "csi500")[k % 2]} | ({"qnb.run_id": run_id[:12]} if ours else {})
            for table, values in (("params", params), ("tags", tags)):
                db.executemany(
                    f"INSERT INTO {table} (key, value, run_uuid) VALUES (?, ?, ?)",
                    [(key, value, run_id) for key, value in values.items()],
                )
            if ours:
                _artifacts(place, rng, days)
    return uri


def _metrics(rng: np.random.Generator, count: int) -> dict[str, float]:
    values = rng.normal(0.04, 0.01, 5)
    names = ("IC", "Rank IC", *(f"1day.excess_return_with_cost.{n}" for n in ("annualized_return", "max_drawdown")))
    found = dict(zip(names, values.tolist(), strict=False))
    found["1day.excess_return_with_cost.information_ratio"] = float(values[4] * 20)
    return found | {f"m{n}": float(rng.normal()) for n in range(count - len(found))}


def make_runs(folder: Path, *, waiting: int = 200, finished: int = 1000, points: int = 4000) -> None:
    """Make directories of runs below `folder`: some that wait with their tickets, then finished ones with a curve."""
    from qnb import events as ev
    from qnb.config import Settings
    from qnb.journal import JournalWriter
    from qnb.pool.place import Place
    from qnb.pool.tickets import Ticket
    from qnb.rundir import RunDir, create_run
    from qnb.task.spec import load_task

    task, settings, tickets = load_task("model: lightgbm"), Settings(work_dir=folder), Place(folder).make().tickets
    for k in range(waiting):
        run = create_run(task, settings, name=f"waits {k}")
        tickets.put(Ticket(run.run_id, str(run.path)))
    done = create_run(task, settings, name="finished")
    with JournalWriter(done.path, sync=False) as journal:
        journal.append(ev.RunStarted(pid=1))
        for step in range(points // 2):
            for name in ("l2.train", "l2.valid"):
                journal.append(ev.MetricLogged(name=name, value=0.5, step=step))
        metrics = _metrics(np.random.default_rng(7), 25)
        journal.append(ev.RunFinished(seconds=1.0, metrics=metrics))
    done.write_result({"status": "finished", "metrics": metrics, "seconds": 1.0})
    for _ in range(finished - 1):
        copy = RunDir(settings.runs_dir / uuid.uuid4().hex[:12])
        shutil.copytree(done.path, copy.path, copy_function=shutil.copyfile)


def _artifacts(place: Path, rng: np.random.Generator, days: int) -> None:
    from qnb.recorder.tables import write_table

    folder = place / "portfolio_analysis"
    folder.mkdir(parents=True)
    index = pd.bdate_range("2017-01-02", periods=days, name="datetime")
    columns = ("account", "return", "total_turnover", "turnover", "total_cost", "cost", "value", "cash", "bench")
    report = pd.DataFrame(rng.normal(0.0005, 0.01, (days, len(columns))), index=index, columns=list(columns))
    report["cost"] = 0.0002
    write_table(report, folder / "report_normal_1day.parquet")
