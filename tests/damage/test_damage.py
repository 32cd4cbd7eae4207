"""Whatever is damaged in a project, every command and magic answers without a traceback, and the pool goes on.

``QNB_DAMAGED=1000 pytest tests/damage`` goes through a thousand states; ``QNB_DAMAGED_FROM`` is the seed of the first.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import shutil
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from qnb import session as sessions
from qnb.assist.names import runs as names_of_runs
from qnb.cli import main
from qnb.config import Settings, current_settings, use_settings
from qnb.errors import QnbError
from qnb.events import RunFinished, RunStarted
from qnb.journal import JournalWriter
from qnb.panels.browser import RunsBrowser
from qnb.panels.live import LivePanel
from qnb.panels.tabs import answer
from qnb.pool import owner as owners
from qnb.pool.backends.kernel import sweep
from qnb.pool.client import PoolClient
from qnb.pool.place import Place
from qnb.pool.protocols import Crash, Limits
from qnb.pool.tickets import Ticket
from qnb.rundir import RunDir, create_run
from qnb.session import Session
from qnb.state import load_state
from qnb.tuning.handle import StudyHandle
from qnb.tuning.studydir import list_studies

from .states import TASK, damaged, project, witness

STATES = int(os.environ.get("QNB_DAMAGED", "16"))
FIRST = int(os.environ.get("QNB_DAMAGED_FROM", "1"))
TOGETHER = 8
"""States a test looks at, so that a thousand are not a thousand names."""
pytestmark = [pytest.mark.timeout(280), pytest.mark.filterwarnings("ignore::DeprecationWarning")]


class Quick:
    """A backend and its workers: a run is over as soon as its request is read."""

    def __init__(self, *_: object, **__: object) -> None:
        self.name = "quick"

    def worker(self, number: int) -> Quick:
        return self

    def prepare(self, libraries: tuple[str, ...]) -> None: ...

    def run(self, directory: RunDir, limits: Limits) -> Crash | None:
        directory.request()
        with JournalWriter(directory.path) as journal:
            journal.append(RunStarted(pid=os.getpid()))
            journal.append(RunFinished())
        return None

    def warm(self) -> None: ...

    def process(self) -> int:
        return os.getpid()

    def server_pid(self) -> int:
        return 0

    def close(self) -> None: ...


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    before = current_settings()
    made = project(tmp_path_factory.mktemp("damage") / "sound")
    use_settings(before)
    return made


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setattr(PoolClient, "ensure", lambda self: None)  # the owner is asked on its own
    monkeypatch.setattr(owners, "KernelBackend", Quick)
    before = current_settings()
    InteractiveShell.clear_instance()
    yield InteractiveShell.instance()
    InteractiveShell.instance().history_manager.end_session()
    InteractiveShell.clear_instance()
    use_settings(before)


@pytest.mark.parametrize("first", range(FIRST, FIRST + STATES, TOGETHER))
def test_every_command_and_magic_answers_and_the_pool_goes_on(
    sound: Path, shell: InteractiveShell, first: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults: list[str] = []
    for seed in range(first, min(first + TOGETHER, FIRST + STATES)):
        folder = tmp_path / f"state {seed}"
        done = damaged(sound, folder, seed)
        monkeypatch.chdir(folder)
        found = look(shell, folder, monkeypatch)
        faults += [f"seed {seed}, after {', '.join(done)}:\n{fault}" for fault in found]
        shutil.rmtree(folder)
    assert not faults, "\n\n".join(faults)


@pytest.mark.parametrize(
    "ticket", ["[]", '{"colour": "red"}', "", '{"priority": [], "retries": "many", "libraries": ["..", 5]}']
)
def test_a_real_pool_goes_on_beside_damaged_tickets_runs_and_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ticket: str
) -> None:
    """What took the owner down at every start: a ticket, or a line of a journal, that says something else."""
    monkeypatch.setenv("QNB_WORKERS", "1")
    before = current_settings()
    session = Session(use_settings(Settings.from_env().with_(work_dir=tmp_path)))
    task, settings, _ = session.load(TASK, source="cell")
    place = session.pool().place.make()
    (place.folder / "settings.json").write_text('{"workers": "two", "colour": "red"}')
    line, request, plain = (create_run(task, settings, name=name) for name in ("line", "request", "plain"))
    with (line.path / "journal.ndjson").open("a") as journal:
        journal.write('{"event":"MetricLogged","nom":"z"}\n[]\n{"event":"RunStarted","pid":"me"}\n')
    (request.path / "request.json").write_text('{"run_id": 5}')
    for run in (line, request, plain):
        (place.tickets.folder / f"{run.run_id}.json").write_text(ticket)
    (place.tickets.folder / "nobody.json").write_text("[]")
    (place.tickets.folder / "folder.json").mkdir()
    good = session.submit(task, settings, name="good")
    assert good.wait(200).status == "finished", good.error
    for run in (line, plain):
        assert session.find(run.run_id).wait(200).status == "finished"
    lost = session.find(request.run_id).wait(200)
    assert lost.status in ("failed", "damaged")
    assert "request.json cannot be read" in str(lost.error)
    end = time.monotonic() + 60
    while place.tickets.names():
        assert time.monotonic() < end, "tickets are left"
        time.sleep(0.05)
    pool = session.pool()
    session.close()
    assert pool.wait_gone(90)
    use_settings(before)


def look(shell: InteractiveShell, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what commands, magics, panels and the pool's owner made of a folder that was no answer."""
    faults: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda a: faults.append(_told("a thread", a.exc_value)))
    monkeypatch.setattr(sessions, "_session", None)
    heard = io.StringIO()
    log = logging.StreamHandler(heard)
    logging.getLogger().addHandler(log)
    use_settings(Settings.from_env().with_(work_dir=folder))
    monkeypatch.setenv("QNB_WORK_DIR", str(folder))
    try:
        for name, call in _looks(shell, folder):
            out, err = io.StringIO(), io.StringIO()
            try:
                with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                    call()
            except (QnbError, UsageError):
                pass
            except BaseException as error:  # noqa: BLE001 - any other is what is looked for
                faults.append(_told(name, error))
            if "Traceback (most" in out.getvalue() + err.getvalue() + heard.getvalue():
                faults.append(f"{name} said:\n{out.getvalue()}{err.getvalue()}{heard.getvalue()}")
                heard.truncate(0)
    finally:
        logging.getLogger().removeHandler(log)
    return faults


def _looks(shell: InteractiveShell, folder: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    runs_dir = folder / ".qnb" / "runs"
    known = sorted(p.name for p in runs_dir.iterdir()) if runs_dir.is_dir() else []
    names = ["finished", "net", "failed", "lost", "waiting"]

    def magic(name: str, line: str = "", cell: str | None = None) -> Callable[[], object]:
        def call() -> None:
            with capture_output():
                if cell is None:
                    shell.run_line_magic(name, line)
                else:
                    shell.run_cell_magic(name, line, cell)

        return call

    yield "%load_ext", magic("load_ext", "qnb")
    for ref in (*known, *names):
        yield f"qnb show {ref}", lambda ref=ref: main(["show", ref])
        yield f"qnb show {ref} --log --config", lambda ref=ref: main(["show", ref, "--log", "--config"])
        yield f"%qshow {ref}", magic("qshow", repr(ref))
    yield "qnb runs", lambda: main(["runs"])
    yield "%qruns", magic("qruns")
    yield "the browser", lambda: _browse(folder)
    yield "%qshow", magic("qshow")
    yield "%qshow --overlay", magic("qshow", "finished net failed --overlay")
    yield "%qpool", magic("qpool")
    yield "%qpool --workers 2", magic("qpool", "--workers 2")
    yield "%%qtask --dry-run", magic("qtask", "more --dry-run", TASK)
    yield "%qtune study", magic("qtune", "study")
    yield "studies", lambda: _studies(folder)
    yield "names", lambda: names_of_runs(runs_dir)
    for ref in known:
        yield f"panel of {ref}", lambda ref=ref: _panel(runs_dir / ref)
    yield "%qresume net", magic("qresume", "net")
    yield "%qresume failed", magic("qresume", "failed")
    yield "%qstop waiting", magic("qstop", "waiting")
    yield "%qstop", magic("qstop")
    yield "the pool's owner", lambda: _own(folder)
    yield "%qstop --all", magic("qstop", "--all")
    yield "%qruns --clean", magic("qruns", "--clean")
    yield "qnb runs --clean", lambda: main(["runs", "--clean"])
    yield "%unload_ext", magic("unload_ext", "qnb")
    yield "afterwards", lambda: _whole(folder)


def _panel(path: Path) -> None:
    panel = LivePanel(Session(current_settings()).find(path.name))
    assert panel.static_bundle()
    for kind in ("config", "environment", "cell", "artifacts", "report", "save_report"):
        answer(panel._handle, {"kind": kind})
    panel._received(None, {"kind": "log", "text": "said"}, None)


def _browse(folder: Path) -> None:
    browser = RunsBrowser(current_settings())
    rows = browser.answer({"kind": "query", "columns": ["status", "model", "seconds"]})["rows"]  # type: ignore[index]
    damaged = [row["id"] for row in rows if row["status"] == "damaged"]
    for row in rows:
        for kind in ("open", "cell"):
            with contextlib.suppress(QnbError):
                browser.answer({"kind": kind, "id": row["id"]})
    if damaged:
        asked = browser.answer({"kind": "ask_delete", "ids": damaged})
        browser.answer({"kind": "delete", "token": asked["token"]})  # type: ignore[index]


def _studies(folder: Path) -> None:
    for directory in list_studies(current_settings()):
        with contextlib.suppress(QnbError):
            handle = StudyHandle(directory)
            assert repr(handle)
            assert handle.trials is not None
            handle.cell_of(0)


def _own(folder: Path) -> None:
    """Have the pool's owner go through the queue until the run that is not damaged is over."""
    place = Place(folder).make()
    sweep(place.workers)
    owner = owners.Owner(place)
    owner._polls = False
    run = witness(folder)
    if run.run_id not in place.tickets:  # what held the tickets was damaged
        place.tickets.put(Ticket(run.run_id, ""))
    end = time.monotonic() + 60
    while load_state(run.path).status != "finished":
        assert time.monotonic() < end, "the pool does not go on"
        owner._look()
        owner._tell()
        owner._may_end()
        time.sleep(0.01)
    owner.close()


def _whole(folder: Path) -> None:
    assert load_state(witness(folder).path).status == "finished"


def _told(name: str, error: BaseException | None) -> str:
    lines: list[Any] = traceback.format_exception(error) if error is not None else []
    return f"{name}: {''.join(lines)}"
