"""R: which run a call goes to, how runs nest and end, where the store comes from."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from qnb.config import Settings, current_settings, settings_of_run, use_settings
from qnb.errors import RecorderError, RunStopped
from qnb.recorder.facade import RecorderFacade

URI = "memory:facade"


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> Iterator[RecorderFacade]:
    """A facade whose settings name a store in memory."""
    monkeypatch.setattr("qnb.config._current", Settings().with_(recorder_uri=URI, experiment="Mine"))
    facade = RecorderFacade()
    yield facade
    while facade._runs.all():
        facade.end_exp()


def in_threads(*calls: Callable[[], None]) -> None:
    """Make all calls at once, each in a thread of its own; what one raises is raised here."""
    with ThreadPoolExecutor(len(calls)) as pool:
        for done in [pool.submit(call) for call in calls]:
            done.result(60)


def test_without_names_the_settings_decide(recording: RecorderFacade) -> None:
    with recording.start() as experiment:
        assert experiment.name == "Mine"
        assert recording.get_recorder().name == "mlflow_recorder"
        assert recording.get_uri() == URI
        assert recording.get_exp() == experiment


def test_logging_without_a_run_starts_one(recording: RecorderFacade) -> None:
    recording.log_params(rate=1)
    recorder = recording.get_recorder()
    recording.log_metrics(loss=1.0)
    recording.set_tags(a="b")
    recording.save_objects(**{"x.pkl": {"a": 1}})
    assert recording.load_object("x") == {"a": 1}
    assert recording.get_exp().name == "Mine"
    recording.end_exp()
    assert recorder.status == "FINISHED"
    assert recorder.list_metrics()["loss"] == 1.0
    recording.end_exp()  # nothing is active, nothing happens


def test_get_exp_can_start_a_run(recording: RecorderFacade) -> None:
    experiment = recording.get_exp(experiment_name="started", start=True)
    assert recording.get_recorder() is experiment.active_recorder
    assert recording.get_exp(start=True) is experiment
    recording.end_exp("FAILED")
    assert next(iter(experiment.list_recorders().values())).status == "FAILED"


def test_a_run_within_a_run_is_nested(recording: RecorderFacade) -> None:
    with recording.start(experiment_name="outer") as outer:
        parent = recording.get_recorder()
        with recording.start(recorder_name="inner") as inner:
            child = recording.get_recorder()
            assert inner == outer, "by default in the same experiment"
            recording.log_metrics(where=2.0)
        recording.log_metrics(where=1.0)
        with recording.start(uri="memory:elsewhere"):
            alien = recording.get_recorder()
            assert recording.get_uri() == "memory:elsewhere"
        assert recording.get_recorder() is parent
    assert child.list_tags()["mlflow.parentRunId"] == parent.id
    assert "packages.txt" in parent.list_artifacts()
    assert child.list_artifacts() == [], "its parent has them"
    assert "mlflow.parentRunId" not in alien.list_tags()
    assert child.list_metrics() == {"where": 2.0}
    assert parent.list_metrics() == {"where": 1.0}


def test_threads_have_runs_of_their_own(recording: RecorderFacade) -> None:
    barrier = threading.Barrier(3)
    tags: dict[str, dict[str, str]] = {}

    def run(name: str) -> None:
        with recording.start(recorder_name=name):
            barrier.wait(60)
            recording.log_metrics(**{name: 1.0})
            barrier.wait(60)
            recorder = recording.get_recorder()
        tags[recorder.name] = recorder.list_tags()
        assert recorder.list_metrics() == {name: 1.0}

    threads = [threading.Thread(target=run, args=(f"r{k}",)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(tags) == ["r0", "r1", "r2"]
    assert not any("mlflow.parentRunId" in t for t in tags.values())


def test_a_helper_thread_logs_to_the_run_that_is_active(recording: RecorderFacade) -> None:
    with recording.start():
        thread = threading.Thread(target=lambda: recording.log_metrics(helped=1.0))
        thread.start()
        thread.join(10)
        assert recording.get_recorder().list_metrics() == {"helped": 1.0}


def test_tasks_of_one_thread_have_runs_of_their_own(recording: RecorderFacade) -> None:
    async def run(name: str, started: asyncio.Event, other: asyncio.Event) -> Any:
        with recording.start(recorder_name=name):
            started.set()
            await other.wait()
            recording.log_metrics(**{name: 1.0})
            await asyncio.sleep(0)
            return recording.get_recorder()

    async def both() -> list[Any]:
        a, b = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(run("a", a, b), run("b", b, a))

    found = asyncio.run(both())
    assert [r.list_metrics() for r in found] == [{"a": 1.0}, {"b": 1.0}]
    assert not any("mlflow.parentRunId" in r.list_tags() for r in found)


def test_a_run_of_a_task_that_is_over_is_the_threads(recording: RecorderFacade) -> None:
    async def cell() -> None:
        recording.start_exp()

    asyncio.run(cell())
    recording.log_metrics(later=1.0)
    assert recording.get_recorder().list_metrics() == {"later": 1.0}


def test_a_helper_of_several_runs_logs_to_none(recording: RecorderFacade) -> None:
    errors: list[str] = []
    both = threading.Barrier(2)

    def run(name: str) -> None:
        with recording.start(recorder_name=name):
            both.wait(10)
            if name == "r0":
                helper = threading.Thread(target=help_)
                helper.start()
                helper.join(10)
            both.wait(10)
            assert recording.get_recorder().list_metrics() == {}

    def help_() -> None:
        with pytest.raises(RecorderError) as caught:
            recording.log_metrics(helped=1.0)
        errors.append(str(caught.value))

    in_threads(*(partial(run, f"r{k}") for k in range(2)))
    assert len(errors) == 1
    assert "belongs to none of them" in errors[0]


def test_a_run_that_shares_the_process_is_seen_in_its_context_alone(recording: RecorderFacade) -> None:
    theirs = current_settings().with_(recorder_uri="memory:theirs", experiment="Theirs")
    began, looked = threading.Event(), threading.Event()

    def run() -> None:
        with settings_of_run(theirs), recording.start() as experiment:
            began.set()
            assert looked.wait(10)
            assert experiment.name == "Theirs"
            assert recording.get_uri() == "memory:theirs"
            context = copy_context()
            in_threads(lambda: context.run(recording.log_metrics, inner=1.0), lambda: recording.log_metrics(other=1.0))
            assert recording.get_recorder().list_metrics() == {"inner": 1.0}

    def look() -> None:
        assert began.wait(10)
        recording.refuse_while_active()
        recording.set_uri("memory:mine")
        recording.log_metrics(mine=1.0)
        assert recording.get_uri() == "memory:mine"
        assert recording.get_exp().name == "Mine"
        assert recording.get_recorder().list_metrics() == {"mine": 1.0}
        recording.end_exp()
        recording.set_uri(None)
        looked.set()

    in_threads(run, look)
    assert recording.get_uri() == URI


def test_uri_contexts_of_threads_leave_nothing_behind(recording: RecorderFacade) -> None:
    a_in, b_in, a_out = threading.Event(), threading.Event(), threading.Event()
    seen: list[str] = []

    def first() -> None:
        with recording.uri_context("memory:A"):
            a_in.set()
            b_in.wait(10)
            seen.append(recording.get_uri())
        a_out.set()

    def second() -> None:
        a_in.wait(10)
        with recording.uri_context("memory:B"):
            b_in.set()
            a_out.wait(10)
            seen.append(recording.get_uri())

    in_threads(first, second)
    assert seen == ["memory:A", "memory:B"]
    assert recording.get_uri() == URI


@pytest.mark.parametrize(
    ("error", "tag"),
    [(ValueError("boom"), "failed"), (KeyboardInterrupt(), "stopped"), (RunStopped("asked"), "stopped")],
)
def test_how_a_run_ended_badly_is_told(recording: RecorderFacade, error: BaseException, tag: str) -> None:
    recorder: Any = None

    def fail() -> None:
        nonlocal recorder
        with recording.start():
            recorder = recording.get_recorder()
            raise error

    with pytest.raises(type(error)):
        fail()
    assert recorder.status == "FAILED"
    assert recorder.list_tags()["qnb.status"] == tag
    assert type(error).__name__ in recorder.list_tags()["qnb.error"]


def test_the_first_error_is_the_one_that_is_raised(recording: RecorderFacade) -> None:
    def fail() -> None:
        with recording.start():
            recorder = recording.get_recorder()
            recorder._store.delete_run(recorder.id)
            recording.log_metrics(a=1.0)
            raise ValueError("boom")

    with pytest.raises(ValueError, match="boom") as caught:
        fail()
    assert any("was deleted" in note for note in caught.value.__notes__)
    for path in (current_settings().work_dir / ".qnb" / "unwritten").glob("*.ndjson"):
        path.unlink()


def test_errors_of_the_store_surface_at_the_end(recording: RecorderFacade, tmp_path: Path) -> None:
    use_settings(current_settings().with_(work_dir=tmp_path))

    def lose() -> None:
        with recording.start():
            recorder = recording.get_recorder()
            recorder._store.delete_run(recorder.id)
            recording.log_metrics(a=1.0)

    with pytest.raises(RecorderError, match="not written"):
        lose()
    assert len(list((tmp_path / ".qnb" / "unwritten").glob("*.ndjson"))) == 1
    assert recording._runs.all() == []


def test_nothing_is_initialised_anew_while_a_run_is_active(recording: RecorderFacade) -> None:
    with recording.start(recorder_name="busy"):
        for call in (recording.refuse_while_active, lambda: recording.set_uri("memory:other")):
            with pytest.raises(RecorderError, match="'busy' of experiment 'Mine' is active; end it first"):
                call()
    recording.refuse_while_active()
    recording.set_uri("memory:other")
    assert recording.get_uri() == "memory:other"
    recording.set_uri(None)
    assert recording.get_uri() == URI


def test_an_unknown_experiment_is_not_made_by_looking(recording: RecorderFacade) -> None:
    recording.get_exp(experiment_name="known")
    for call in (recording.list_recorders, recording.delete_exp):
        with pytest.raises(RecorderError, match="did you mean 'known'"):
            call(experiment_name="knwon")
    assert "knwon" not in recording.list_experiments()


def test_uri_context_goes_back(recording: RecorderFacade) -> None:
    def fail() -> None:
        with recording.uri_context("memory:other"):
            assert recording.get_uri() == "memory:other"
            raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        fail()
    assert recording.get_uri() == URI


def test_a_pickle_of_another_store_is_refused_unless_trusted(recording: RecorderFacade, tmp_path: Path) -> None:
    code = (
        "import sys; from qnb.recorder import R\n"
        "with R.start(experiment_name='e', recorder_name='r', uri=sys.argv[1]): R.save_objects(**{'x.pkl': (1, 2)})"
    )
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    subprocess.run([sys.executable, "-c", code, uri], check=True, timeout=60, cwd=tmp_path)
    with recording.uri_context(uri):
        recorder = recording.get_recorder(experiment_name="e", recorder_name="r")
        with pytest.raises(RecorderError, match="trust=True"):
            recorder.load_object("x.pkl")
        assert recorder.load_object("x.pkl", trust=True) == (1, 2)
        use_settings(current_settings().with_(recorder_uri=uri))
        recorder = recording.get_recorder(experiment_name="e", recorder_name="r")
        assert recorder.load_object("x.pkl") == (1, 2), "the settings' own store is trusted"


ENDINGS = """
import os, signal, sys, time
from qnb.recorder import R
how, uri = sys.argv[1:]
R.set_uri(uri)
R.start_exp(experiment_name="e", recorder_name=how)
for step in range(100):
    R.log_metrics(step=step, loss=float(step))
if how == "raise":
    raise ValueError("boom")
if how == "exit":
    sys.exit(0)
if how == "sigterm":
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(20)
"""


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, int]]:
    """A store with the runs of processes that ended without ending their run, and their exit codes."""
    folder = tmp_path_factory.mktemp("ended")
    uri = f"sqlite:///{folder}/mlflow.db"
    processes = {
        how: subprocess.Popen([sys.executable, "-c", ENDINGS, how, uri], stderr=subprocess.DEVNULL, cwd=folder)
        for how in ("fall off", "exit", "raise", "sigterm")
    }
    return uri, {how: process.wait(200) for how, process in processes.items()}


@pytest.mark.parametrize(
    ("how", "code", "status"),
    [("fall off", 0, "FINISHED"), ("exit", 0, "FINISHED"), ("raise", 1, "FAILED"), ("sigterm", -15, "FAILED")],
)
def test_a_process_that_ends_loses_nothing(ended: tuple[str, dict[str, int]], how: str, code: int, status: str) -> None:
    uri, codes = ended
    facade = RecorderFacade()
    with facade.uri_context(uri):
        recorder = facade.get_recorder(experiment_name="e", recorder_name=how)
    assert codes[how] == code
    assert len(recorder.metric_history("loss")) == 100
    assert recorder.status == status


def test_sigterm_is_as_it_was_after_the_run(recording: RecorderFacade) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with recording.start():
        assert (signal.getsignal(signal.SIGTERM) is before) == (before is not signal.SIG_DFL)
    assert signal.getsignal(signal.SIGTERM) is before
