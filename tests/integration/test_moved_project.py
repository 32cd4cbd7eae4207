"""A project's folder is renamed or moved, at rest and while something goes on in it: nothing of it is lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qnb.config import Settings, use_settings
from qnb.data.demo import ensure_demo
from qnb.errors import QnbError, StudyError
from qnb.handle import RunHandle
from qnb.machine import ProcessId
from qnb.panels.live import LivePanel
from qnb.pool.place import Place
from qnb.pool.tickets import Ticket
from qnb.recorder.query import list_runs
from qnb.rundir import RunDir, create_run, list_run_dirs
from qnb.session import Session
from qnb.state import load_state
from qnb.summary import print_run
from qnb.tuning.engine import manage
from qnb.tuning.handle import StudyHandle
from qnb.tuning.manager import start_manager
from qnb.tuning.open import open_study
from qnb.tuning.plan import load_study
from qnb.tuning.studydir import StudyDir, find_study
from qnb.whatif.source import what_if_of

pytestmark = pytest.mark.timeout(500)
NET = "from qnb.models.gru import GRU\n\nclass Net(GRU):\n    pass\n"
LINEAR = """\
qlib_init: {{provider_uri: {folder}/data, exp_manager: {{kwargs: {{uri: "sqlite:///{folder}/store.db"}}}}}}
experiment_name: kept
task:
  model: {{class: LinearModel}}
  dataset:
    class: DatasetH
    kwargs:
      handler: &handler
        class: DataHandlerLP
        kwargs:
          instruments: all
          data_loader:
            class: QlibDataLoader
            kwargs:
              config:
                feature: [["$close/Ref($close, 1) - 1", "$volume/Mean($volume, 10) - 1"], [RET, VR]]
                label: [["Ref($close, -2)/Ref($close, -1) - 1"], [LABEL0]]
          infer_processors: [{{class: Fillna, kwargs: {{fields_group: feature}}}}]
          learn_processors: [DropnaLabel]
      segments: {{train: [2018-01-02, 2018-12-31], valid: [2019-01-02, 2019-06-28], test: [2019-07-01, 2019-12-31]}}
  record:
    - {{class: SignalRecord, kwargs: {{model: <MODEL>, dataset: <DATASET>}}}}
    - {{class: PortAnaRecord, kwargs: {{config: {{strategy: {{class: TopkDropoutStrategy,
        kwargs: {{signal: <PRED>, topk: 5, n_drop: 1}}}}, backtest: {{benchmark: DMINDEX}}}}}}}}
"""


def deep(folder: Path, epochs: int) -> str:
    """Return the same workflow with a network of the project's own, which keeps checkpoints."""
    text = LINEAR.format(folder=folder).replace("class: DatasetH", "class: TSDatasetH")
    text = text.replace("    kwargs:\n      handler", "    kwargs:\n      step_len: 4\n      handler")
    kwargs = f"{{d_feat: 2, hidden_size: 8, num_layers: 1, n_epochs: {epochs}, early_stop: {epochs}, GPU: null}}"
    text = text.replace("{class: LinearModel}", f"{{class: Net, module_path: net.py, kwargs: {kwargs}}}")
    head, _, _ = text.partition("    - {class: PortAnaRecord")
    return head


def until(condition: Callable[[], Any], *, what: str, seconds: float = 120) -> Any:
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"still not: {what}"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("market") / "data"
    shutil.copytree(ensure_demo(instruments=12, years=3, cache_dir=Settings.from_env().cache_dir), target)
    return target


@pytest.fixture
def old(tmp_path: Path, market: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with data, a model and a store of its own."""
    monkeypatch.setenv("QNB_WORKERS", "1")
    project = tmp_path / "old"
    shutil.copytree(market, project / "data")
    (project / "net.py").write_text(NET)
    before = Settings.from_env()
    yield project
    use_settings(before)


@pytest.fixture
def new(tmp_path: Path, old: Path) -> Path:
    return tmp_path / "a new place" / "renamed"


def trains(run: RunHandle) -> None:
    until(lambda: "loss.valid" in run.state.curves and len(run.state.curves["loss.valid"].steps) > 2, what="it trains")


def goes_on(run: RunHandle) -> None:
    told = "going on after epoch"
    until(lambda: any(told in line.text for line in run.state.logs), what="it goes on from its checkpoint")


def session_of(folder: Path) -> Session:
    return Session(use_settings(Settings.from_env().with_(work_dir=folder)))


def submit(session: Session, text: str, name: str) -> RunHandle:
    task, settings, _ = session.load(text, source="cell")
    return session.submit(task, settings, name=name, ticket=Ticket("", "", retries=0))


def ended(session: Session) -> None:
    pool = session.pool()
    session.close()
    assert pool.wait_gone(90)


def move(old: Path, new: Path) -> None:
    new.parent.mkdir(exist_ok=True)
    old.rename(new)


def texts(folder: Path) -> str:
    """Return everything that small files of the project say."""
    files = [
        *folder.glob(".qnb/runs/*/*.json"),
        *folder.glob(".qnb/pool/tickets/*"),
        *folder.glob(".qnb/studies/*/*.json"),
    ]
    return "".join(path.read_text() for path in files if path.is_file())


def in_the_old_form(folder: Path, was: Path) -> None:
    """Have the files say where the project lay, as older versions wrote them."""
    for path in [*folder.glob(".qnb/runs/*/*.json"), *folder.glob(".qnb/studies/*/*.json")]:
        raw = json.loads(path.read_text().replace("<project>", str(was)))
        if "settings" in raw:
            raw["settings"]["work_dir"] = str(was)
        times = path.stat().st_atime_ns, path.stat().st_mtime_ns
        path.write_text(json.dumps(raw))
        os.utime(path, ns=times)
    for path in folder.glob(".qnb/pool/tickets/*.json"):
        path.write_text(
            json.dumps(json.loads(path.read_text()) | {"directory": str(was / ".qnb" / "runs" / path.stem)})
        )


@pytest.mark.parametrize("form", ["relative", "absolute"])
def test_at_rest_every_run_is_whole_in_the_new_place_and_goes_on_there(
    old: Path, new: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    session = session_of(old)
    whole = submit(session, LINEAR.format(folder=old), "whole").wait(200)
    assert whole.status == "finished", whole.error
    predicted, figures = whole.pred, whole.metrics
    stopped = submit(session, deep(old, 300), "net")
    trains(stopped)
    stopped.stop()
    assert stopped.wait(100).state.stop.resumable  # type: ignore[union-attr]
    task, settings, _ = session.load(LINEAR.format(folder=old), source="cell")
    ended(session)
    waiting = create_run(task, settings, name="waiting")
    Place(old).tickets.put(Ticket(waiting.run_id, str(waiting.path)))
    assert str(old) not in texts(old)
    if form == "absolute":
        in_the_old_form(old, old)

    move(old, new)
    session = session_of(new)
    here = session.find("whole")
    assert here.pred.equals(predicted)
    assert here.metrics == figures
    assert here.report is not None
    assert here.report.is_file()
    assert here.report.is_relative_to(new)
    assert Path(here.recorder.get_local_dir()).is_relative_to(new)
    assert here.request.settings.work_dir == new
    assert here.request.settings.uri_for() == str(new / "data")
    assert what_if_of(here) is not None
    assert print_run(session.settings, "whole", log=True, config=True) == 0
    shown = capsys.readouterr().out
    assert f"{new}/data" in shown
    assert f"{old}/data" not in shown
    assert [r.name for r in list_runs(here.request.settings.tracking_uri)] == ["net", "whole"]
    assert "whole" in LivePanel(here).view["name"]

    resumed = session.resume(session.find("net"))
    until(lambda: resumed.state.started and resumed.status == "running", what="goes on")
    assert session.find("waiting").wait(200).status == "finished" or session.find("waiting").status == "waiting"
    goes_on(resumed)
    resumed.stop()
    resumed.wait(100)
    again = session.find("waiting").wait(200)
    assert again.status == "finished", again.error
    more = submit(session, LINEAR.format(folder=new), "more").wait(200)
    assert more.status == "finished", more.error
    assert Path(more.recorder.get_local_dir()).is_relative_to(new)
    ended(session)
    assert not old.exists(), "it came back"


def test_a_copy_has_its_own_artifacts_and_the_original_keeps_its(old: Path, new: Path) -> None:
    session = session_of(old)
    whole = submit(session, LINEAR.format(folder=old), "whole").wait(200)
    assert whole.status == "finished", whole.error
    ended(session)
    shutil.copytree(old, new)
    for folder in (old, new):
        found = session_of(folder).find("whole")
        assert Path(found.recorder.get_local_dir()).is_relative_to(folder)
        assert len(found.pred) == len(whole.pred)


def test_a_run_that_goes_on_while_its_folder_is_moved_says_so_and_goes_on_there(old: Path, new: Path) -> None:
    session = session_of(old)
    going = submit(session, deep(old, 100_000), "net")
    trains(going)
    waiting = submit(session, LINEAR.format(folder=old), "waiting")
    owner = Place(old).status()
    panel = LivePanel(going)
    move(old, new)

    until(lambda: going.is_over, what="its notebook sees that it is gone", seconds=30)
    assert f"The folder {old} is gone" in going.state.stop.reason  # type: ignore[union-attr]
    until(lambda: panel.view["status"] == "interrupted", what="its panel shows it", seconds=30)
    for refused in (lambda: submit(session, LINEAR.format(folder=new), "late"), session.pool().ensure):
        assert not old.exists(), f"it came back with {sorted(old.rglob('*'))}"
        with pytest.raises(QnbError, match=f"the folder {old} is gone"):
            refused()
    moved = RunDir(new / ".qnb" / "runs" / going.run_id)
    until(lambda: load_state(moved.path).is_over, what="it ends", seconds=60)
    state = load_state(moved.path)
    assert state.status == "interrupted"
    assert state.stop is not None
    assert state.stop.reason == f"The folder {old} was moved to {new} while it ran. %qresume net goes on there."
    assert state.stop.resumable
    until(lambda: not ProcessId(owner["pid"], owner["began"]).alive, what="the pool of the old place ends", seconds=60)
    assert not old.exists(), "it came back"

    there = session_of(new)
    there.attach()
    until(
        lambda: RunHandle(RunDir(new / ".qnb" / "runs" / waiting.run_id)).status == "finished", what="the queue goes on"
    )
    runs = {r.name: r.status for r in list_runs(going.request.settings.tracking_uri.replace(str(old), str(new)))}
    assert runs["net"] == "FAILED", "the store agrees that it is not running"
    resumed = there.resume(there.find("net"))
    goes_on(resumed)
    resumed.stop()
    assert resumed.wait(100).status == "stopped"
    session.close()
    ended(there)
    assert not old.exists(), "it came back"


def test_a_command_that_runs_while_its_folder_is_moved_says_so(old: Path, new: Path) -> None:
    (old / "net.yaml").write_text(deep(old, 100_000))
    environment = {**os.environ, "QNB_WORK_DIR": str(old)}
    command = [sys.executable, "-m", "qnb.cli", "run", "net.yaml"]
    process = subprocess.Popen(command, cwd=old, env=environment, stderr=subprocess.PIPE, text=True)
    runs = old / ".qnb" / "runs"
    until(lambda: any(len(load_state(d.path).curves) for d in list_run_dirs(runs)), what="it trains")
    move(old, new)
    _, said = process.communicate(timeout=200)
    assert process.returncode == 130, said
    assert f"stopped: The folder {old} was moved to {new} while it ran." in said
    (run,) = list_run_dirs(new / ".qnb" / "runs")
    assert load_state(run.path).status == "interrupted"
    assert run.result()["status"] == "stopped"  # type: ignore[index]
    assert not old.exists(), "it came back"


def test_a_run_whose_folder_is_removed_while_it_goes_on_ends(old: Path) -> None:
    session = session_of(old)
    going = submit(session, deep(old, 100_000), "net")
    until(lambda: "loss.valid" in going.state.curves, what="trains")
    worker = ProcessId(going.state.pid, going.state.began)
    until(lambda: shutil.rmtree(old, ignore_errors=True) or not old.exists(), what="its folder is removed")
    until(lambda: going.is_over, what="it is seen", seconds=30)
    until(lambda: not worker.alive, what="the worker ends", seconds=90)
    session.close()
    assert not old.exists(), "it came back"


STUDY = """\
market: {folder}/data
model: {{lightgbm: {{num_leaves: !int [4, 32], num_boost_round: 20}}}}
features: {{MOM: '$close/Ref($close, 5) - 1', VOL: 'Std($close/Ref($close, 1), 10)'}}
segments: {{train: [2018-01-02, 2018-12-31], valid: [2019-01-02, 2019-06-28], test: [2019-07-01, 2019-12-31]}}
benchmark: DMINDEX
study: {{trials: {trials}, jobs: 1, threads: 1, storage: "sqlite:///{folder}/optuna.db"}}
"""


def opened(folder: Path, trials: int, *, resume: bool = False) -> StudyDir:
    plan = load_study(STUDY.format(folder=folder, trials=trials), name="s", base_dir=folder)
    return open_study(plan, Settings.from_env().with_(work_dir=folder, **plan.task.settings), resume=resume)


@pytest.mark.parametrize("form", ["relative", "absolute"])
def test_a_study_at_rest_is_whole_in_the_new_place_and_goes_on_there(old: Path, new: Path, form: str) -> None:
    assert manage(opened(old, 2)).done == 2
    assert str(old) not in texts(old)
    if form == "absolute":
        in_the_old_form(old, old)
    move(old, new)
    settings = session_of(new).settings
    here = StudyHandle(find_study(settings, "s"))
    assert (here.status, here.state.done) == ("finished", 2)
    assert here.directory.request().spec.storage == f"sqlite:///{new}/optuna.db"
    assert f"{new}/data" in here.cell_of(0)
    state = manage(opened(new, 3, resume=True))
    assert (state.status, state.done) == ("finished", 3)
    runs = list_runs(settings.tracking_uri)
    assert sorted(r.name for r in runs) == ["s", "trial 0", "trial 1", "trial 2"]
    assert {r.status for r in runs} == {"FINISHED"}
    assert not old.exists(), "it came back"


def test_a_study_that_goes_on_while_its_folder_is_moved_says_so_and_goes_on_there(old: Path, new: Path) -> None:
    directory = opened(old, 100_000)
    start_manager(directory)
    here = StudyHandle(directory)
    until(lambda: here.state.done, what="a trial ends")
    move(old, new)
    until(lambda: here.status == "interrupted", what="its notebook sees that it is gone")
    with pytest.raises(StudyError, match=r"is gone: its folder .* was moved or removed"):
        here.resume()
    there = StudyHandle(StudyDir(new / ".qnb" / "studies" / directory.study_id))
    until(lambda: there.is_over, what="it ends")
    assert there.status == "stopped"
    assert (
        there.state.message == f"The folder {old} was moved to {new} while the study went on; there it can be resumed."
    )
    assert not any(t.state == "failed" for t in there.state.trials.values())
    until(lambda: not there.directory.is_managed(), what="its manager ends")
    done = there.state.done
    state = manage(opened(new, done + 2, resume=True))
    assert state.status == "finished"
    assert {t.state for t in state.trials.values()} <= {"complete", "pruned"}
    assert not old.exists(), "it came back"
