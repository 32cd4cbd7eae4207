"""What a run, a resumed run and a study leave on the disk and in the store: nothing of a password or a token."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from qnb.cli import main
from qnb.config import Settings
from qnb.recorder import R
from qnb.session import Session
from qnb.tuning.engine import manage
from qnb.tuning.open import open_study
from qnb.tuning.plan import load_study

from .postgres import PASSWORD, missing, own_server

TOKEN = "streng-geheim-77"
CODE = """
import os
import numpy as np
import pandas as pd

class Model:
    def __init__(self, token, x=0.0, fail=False):
        assert token == "-".join(["streng", "geheim", "77"]), token
        self.token, self.fail = token, fail
    def fit(self, dataset, context=None):
        print("token", self.token)
        if context is not None:
            context.log(f"asked with {self.token}")
        if self.fail:
            raise RuntimeError(f"{self.token} was refused by postgresql://me:{self.token}@h")
        self.token = None  # what a model keeps is saved with it
    def predict(self, dataset, segment="test"):
        frame = dataset.prepare(segment, col_set="label")
        return pd.Series(np.random.default_rng(0).normal(size=len(frame)), index=frame.index, name="score")
"""
FEATURES = "market: demo:instruments=40,years=4\nfeatures: ['$close/Ref($close, 5) - 1', 'Std($close, 10)']\n"


def workflow(uri: str, more: str = "") -> str:
    model = f"{{class: Model, module_path: mine.py, kwargs: {{token: {TOKEN}{more}}}}}"
    return f"{FEATURES}qnb_init: {{recorder_uri: '{uri}'}}\nmodel: {model}\n"


@pytest.fixture(scope="module")
def databases() -> Iterator[tuple[str, str]]:
    """Addresses of an empty database for runs, and of one for a study."""
    if missing():
        pytest.skip(missing())
    with own_server() as server:
        yield server.create("mlflow"), server.create("optuna")


@pytest.fixture
def postgres(databases: tuple[str, str]) -> str:
    return databases[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(CODE)
    return tmp_path


@pytest.fixture
def session(folder: Path) -> Iterator[Session]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QNB_WORKERS", "1")
        session = Session(Settings(work_dir=folder))
        yield session
        pool = session.pool()
        session.close()
        assert pool.wait_gone(90)


def leaks(folder: Path) -> list[str]:
    """Return where secrets stand in the clear, the code of the user and the place for secrets left aside."""
    kept = folder / ".qnb" / "secrets"
    found = []
    for path in folder.rglob("*"):
        own = path.is_relative_to(kept) or path.name.startswith("mine.")
        if path.is_file() and not own:
            data = path.read_bytes()
            found += [f"{path}: {s}" for s in (TOKEN, PASSWORD) if s.encode() in data]
    return found


def open_to_others(folder: Path) -> list[str]:
    """Return what of ``.qnb`` others may look at."""
    top = folder / ".qnb"
    paths = [p for p in (top, *top.rglob("*")) if not p.is_symlink()]
    return [str(p) for p in paths if p.exists() and stat.S_IMODE(p.stat().st_mode) & 0o077]


def test_a_run_of_the_pool_leaves_no_secret(
    postgres: str, folder: Path, session: Session, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            for process in psutil.Process().children(recursive=True):
                try:
                    commands.add(" ".join(process.cmdline()))
                except psutil.Error:
                    continue

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        task, settings, _ = session.load(workflow(postgres), source="cell")
        run = session.submit(task, settings, name="good").wait(240)
        assert run.status == "finished", run.error
        task, settings, _ = session.load(workflow(postgres, ", fail: true"), source="cell")
        bad = session.submit(task, settings, name="bad").wait(240)
        assert bad.status == "failed"
        again = session.retry(bad).wait(240)
        assert again.status == "failed"
    finally:
        over.set()
        watcher.join()
    assert "was refused by postgresql://me:***@h" in again.error
    assert not [c for c in commands if TOKEN in c or PASSWORD in c]
    assert any("asked with secret:" in entry.text for entry in run.state.logs)
    assert leaks(folder) == []
    assert open_to_others(folder) == []
    monkeypatch.setenv("QNB_WORK_DIR", str(folder))
    for handle in (run, bad, again):
        assert main(["show", handle.run_id, "--log", "--config"]) == 0
    shown = capsys.readouterr()
    assert "secret:" in shown.out
    assert TOKEN not in shown.out + shown.err
    assert PASSWORD not in shown.out + shown.err
    with R.uri_context(postgres):
        for handle in (run, bad):
            recorder = handle.recorder
            told = [*recorder.list_params().values(), *recorder.list_tags().values(), recorder.load_object("task.yaml")]
            assert not [text for text in told if TOKEN in text or PASSWORD in text]
            assert recorder.list_params()["model.kwargs.token"].startswith("secret:")


def test_a_run_of_the_shell_and_a_study_leave_no_secret(
    databases: tuple[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    postgres, storage = databases
    monkeypatch.setenv("QNB_WORK_DIR", str(folder))
    monkeypatch.chdir(folder)
    file = folder / "flow.yaml"
    file.write_text(workflow(postgres))
    monkeypatch.setattr("sys.argv", ["qnb", "run", "flow.yaml", "--set", f"task.model.kwargs.token={TOKEN}"])
    assert main(["run", "flow.yaml", "--set", f"task.model.kwargs.token={TOKEN}"]) == 0
    file.unlink()
    settings = Settings.from_env().with_(recorder_uri=postgres)
    text = workflow(postgres, ", x: !uniform [0, 1]") + f"study: {{trials: 1, storage: '{storage}'}}\n"
    for trials, resume in ((1, False), (2, True)):
        plan = load_study(text, name="s", options={"trials": trials, "jobs": 1, "threads": 1}, base_dir=folder)
        state = manage(open_study(plan, settings.with_(**plan.task.settings), resume=resume))
        assert (state.status, state.done) == ("finished", trials), state
    told = capsys.readouterr()
    assert leaks(folder) == []
    assert open_to_others(folder) == []
    assert PASSWORD not in told.out + told.err
    with R.uri_context(postgres):
        experiments: Any = R.list_experiments()
        for name in experiments:
            for recorder in R.list_recorders(experiment_name=name).values():
                text = str([recorder.list_params(), recorder.list_tags()])
                assert TOKEN not in text
                assert PASSWORD not in text
    assert os.getcwd() == str(folder)
