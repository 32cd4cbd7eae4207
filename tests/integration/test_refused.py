"""What the system refuses ends in one sentence with cause, place and remedy, in the shell and in magics."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import lightgbm
import numpy as np
import pytest

from qnb.config import Settings
from qnb.data.protocols import RowIndex
from qnb.errors import PoolError
from qnb.recorder.experiment import Experiment
from qnb.recorder.patience import Patience
from qnb.recorder.stores import open_store
from qnb.refused import refusal
from qnb.session import Session
from qnb.training.samples import FitRows
from qnb.tuning.binned import BinnedStore

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mounts small disks"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
TASK = """\
market: demo:instruments=10,years=4
model: {lightgbm: {num_boost_round: 2}}
features: {MOM: "$close/Ref($close, 5) - 1"}
records: [SignalRecord]
"""
STUDY = TASK.replace("num_boost_round: 2", "num_boost_round: !int [2, 3]")
WRITING = {
    "run": "run task.yaml --quiet",
    "tune": "tune -c study.yaml --trials 1 --jobs 1 --quiet",
    "demo": "data demo --instruments 12 --years 4",
    "import": "data import prices store",
    "limit": "data cache --limit 3GB",
    "schema": "schema --out schema.json",
}
READING = {"runs": "runs", "clean": "runs --clean", "show": "show nothing", "cache": "data cache"}
MAGICS = {
    "qtask": ("a", TASK),
    "qtask inline": ("a --backend inline --wait", TASK),
    "qtune": ("b --trials 1", STUDY),
    "qpool": ("--workers 1", None),
    "qdata": ("cache --limit 3GB", None),
    "qruns": ("", None),
    "qruns clean": ("--clean", None),
    "qshow": ("", None),
    "qstop": ("--all", None),
}
DRIVER = """
import sys, json
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.error import UsageError
shell = InteractiveShell.instance()
shell.run_line_magic('load_ext', 'qnb')
for name, (line, cell) in json.loads(sys.argv[1]).items():
    magic = name.partition(' ')[0]
    try:
        shell.run_line_magic(magic, line) if cell is None else shell.run_cell_magic(magic, line, cell)
        said = ''
    except UsageError as error:
        said = str(error)
    print('@@' + json.dumps([name, said]), flush=True)
"""


@contextlib.contextmanager
def mounted(place: Path, options: str) -> Iterator[Path]:
    """A small file system with what the commands need."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.decode().strip()}")
    try:
        equip(place)
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def equip(folder: Path) -> None:
    (folder / "task.yaml").write_text(TASK, encoding="utf-8")
    (folder / "study.yaml").write_text(STUDY, encoding="utf-8")
    (folder / "prices").mkdir()
    rows = "".join(f"2020-01-{day:02},1,2,0.5,1.5,100\n" for day in range(1, 29))
    (folder / "prices" / "A.csv").write_text(f"date,open,high,low,close,volume\n{rows}")


def fill_inodes(disk: Path, left: int) -> list[Path]:
    made = []
    while os.statvfs(disk).f_favail > left:
        made.append(disk / f"ballast-{len(made)}")
        made[-1].touch()
    return made


@pytest.fixture(params=["full", "inodes", "readonly"])
def bad_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A working folder that nothing can be written to, and the cause that must be told."""
    if request.param == "readonly" and os.geteuid() != 0:
        equip(tmp_path)
        tmp_path.chmod(0o555)
        yield tmp_path, "no permission for "
        tmp_path.chmod(0o755)
        return
    options = {"full": "size=256k", "inodes": "size=8m,nr_inodes=40", "readonly": "size=8m"}[request.param]
    with mounted(tmp_path / "disk", options) as disk:
        if request.param == "full":
            with contextlib.suppress(OSError), (disk / "ballast").open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
            yield disk, "no space left on the disk of "
        elif request.param == "inodes":
            fill_inodes(disk, 0)
            yield disk, "its disk has no inodes left; remove files there, or "
        else:
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
            yield disk, " cannot be written: its disk is read-only; "


def environment(folder: Path) -> dict[str, str]:
    return os.environ | {
        "PYTHONPATH": str(ROOT), "QNB_WORKERS": "1", "QNB_CACHE_DIR": str(folder / "cache"),
        "IPYTHONDIR": str(folder.parent / "ipython"),
    }  # fmt: skip


def qnb(words: str, folder: Path, *, files: int = 0, **changes: str) -> subprocess.CompletedProcess[str]:
    def few_files() -> None:
        if files:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    return subprocess.run(
        [sys.executable, "-m", "qnb.cli", *words.split()], cwd=folder, env=environment(folder) | changes,
        capture_output=True, text=True, preexec_fn=few_files,
    )  # fmt: skip


def assert_a_sentence(text: str, cause: str, place: str) -> None:
    assert re.fullmatch(r"(?:error: )?[^\n]+; [^\n]+\n?", text), text
    assert cause in text
    assert place in text
    assert "Traceback" not in text


def test_commands_on_a_disk_that_refuses(bad_disk: tuple[Path, str]) -> None:
    disk, cause = bad_disk
    for words in WRITING.values():
        done = qnb(words, disk)
        assert done.returncode == 1, done
        assert_a_sentence(done.stderr, cause, str(disk))
        assert done.stdout == ""
    for name, words in READING.items():
        done = qnb(words, disk)
        assert done.returncode == (name == "show"), done
        assert "Traceback" not in done.stderr
    assert not list((disk / ".qnb").rglob("journal.ndjson"))


def test_magics_on_a_disk_that_refuses(bad_disk: tuple[Path, str]) -> None:
    disk, cause = bad_disk
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, json.dumps(MAGICS)], cwd=disk, env=environment(disk), capture_output=True,
        text=True,
    )  # fmt: skip
    assert "Traceback" not in done.stderr + done.stdout
    said = dict(json.loads(line[2:]) for line in done.stdout.splitlines() if line.startswith("@@"))
    assert said.keys() == MAGICS.keys(), done.stderr
    for name in ("qtask", "qtask inline", "qtune", "qpool", "qdata"):
        assert_a_sentence(said[name], cause, str(disk))
    assert said["qruns"] == said["qruns clean"] == said["qstop"] == ""
    assert said["qshow"].startswith("no run")  # none stands at 'Waiting'


@pytest.mark.parametrize("left", [8, 14, 18, 25, 40])
def test_a_run_that_finds_no_inodes_on_its_way_says_so(left: int, tmp_path: Path) -> None:
    """It is not begun, ends as failed, or tells why it waits for its store, and then goes on."""
    with mounted(tmp_path / "disk", "size=32m,nr_inodes=400") as disk:
        session = Session(Settings.from_env().with_(work_dir=disk))
        task, settings, _ = session.load(TASK, source="cell")
        ballast = fill_inodes(disk, left)
        run, said = None, ""
        try:
            run = session.submit(task, settings, name="a")
        except (OSError, PoolError) as error:
            said = refusal(error) or str(error)
            assert not list((disk / ".qnb").rglob("journal.ndjson"))
        end = time.monotonic() + 240
        while run is not None and not said and time.monotonic() < end:
            time.sleep(0.1)
            told = [line.text for line in run.state.logs if " inodes " in line.text]
            said = str(run.error or "") if run.is_over else "".join(told[-1:])
        assert_a_sentence(said, "its disk has no inodes left; remove files there, or ", str(disk))
        waits = run is not None and not run.is_over
        for path in ballast:
            path.unlink()
        if run is not None:
            run.wait(240)
            assert run.status == "finished" if waits else run.status == "failed"
        session.close()
        assert session.pool().wait_gone(90)
        assert not session.pool().place.tickets.names()


def test_a_pool_that_cannot_be_started_ends_what_waits_for_it(tmp_path: Path) -> None:
    session = Session(Settings.from_env().with_(work_dir=tmp_path))
    place = session.pool().place.make()
    place.lock_path.unlink()
    place.lock_path.mkdir()  # nobody can own the pool
    task, settings, _ = session.load(TASK, source="cell")
    run = session.submit(task, settings, name="a")
    run.wait(240)
    assert run.status == "failed"
    assert str(run.error).startswith("the pool cannot be started: ")
    assert str(place.lock_path) in str(run.error)
    assert "\n" not in str(run.error)
    while place.tickets.names():
        time.sleep(0.05)
    session.close()


@pytest.mark.parametrize("place", ["store", "temporary folder"])
def test_what_a_run_saves_waits_for_room(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with mounted(tmp_path / "disk", "size=4m") as disk:
        if place == "temporary folder":
            monkeypatch.setattr("tempfile.tempdir", str(disk))
        settings = Settings(work_dir=disk if place == "store" else tmp_path)
        store = open_store(settings.tracking_uri, work_dir=settings.work_dir)
        recorder = Experiment(store, store.create_experiment("kept"), settings)._create("run", {}, "RUNNING")
        told: list[str] = []
        ballast = disk / "ballast"

        def tell(text: str) -> None:
            told.append(text)
            ballast.unlink()

        recorder.start_run(survey=False).wait_for_store(Patience(100.0, tell=tell))
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        recorder.save_objects(**{"numbers.pkl": np.arange(20_000)})
        assert len(told) == 1
        assert "no space left on the disk of " in told[0]
        assert np.array_equal(recorder.load_object("numbers.pkl"), np.arange(20_000))
        recorder.end_run()


@pytest.mark.parametrize("options", ["size=64k", "size=1m,nr_inodes=8"])
def test_a_study_bins_its_rows_in_memory_where_the_disk_has_no_room(options: str, tmp_path: Path) -> None:
    x, y = np.random.default_rng(1).normal(size=(4000, 5)), np.arange(4000.0)
    index = RowIndex(np.full(4000, np.datetime64("2020-01-01", "ns")), np.zeros(4000, np.int32), ("A",))
    segments = {
        name: FitRows(x[part], y[part], None, index, tuple("abcde"))
        for name, part in (("train", slice(3000)), ("valid", slice(3000, None)))
    }
    texts = []
    with mounted(tmp_path / "disk", options) as disk:
        if "inodes" in options:
            fill_inodes(disk, 0)
        for folder in (disk, tmp_path / "bins"):
            store = BinnedStore(folder)
            (train, valid), _ = store.data_sets(segments.__getitem__, "key", {}, valid=True)
            booster = lightgbm.train({"verbosity": -1, "num_threads": 1}, train, 5, valid_sets=[valid])
            texts.append(booster.model_to_string())
            assert store.misses == 1
            assert not list(folder.glob("*.part"))
        assert not list(disk.glob("*.json"))  # it is not there for others
    assert texts[0] == texts[1]


@pytest.mark.parametrize("files", [6, 8, 10, 12, 14])
def test_too_few_open_files(files: int, tmp_path: Path) -> None:
    equip(tmp_path)
    done = qnb("data demo --instruments 10 --years 4", tmp_path)
    assert done.returncode == 0, done.stderr
    for words in (*WRITING.values(), *READING.values()):
        done = qnb(words, tmp_path, files=files)
        assert "Traceback" not in done.stderr, words
        if done.returncode and "show" not in words:
            (error,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
            assert f"too many files are open: this process may have {files} of them; allow more with `ulimit" in error


@pytest.mark.parametrize("words", ["run task.yaml --quiet", "runs", "tune -c study.yaml --trials 1", "show a"])
def test_a_folder_whose_name_the_encoding_lacks(words: str, tmp_path: Path) -> None:
    folder = tmp_path / "caché"
    folder.mkdir()
    equip(folder)
    before = sorted(tmp_path.rglob("*"))
    done = qnb(words, folder, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert done.returncode == 2
    assert_a_sentence(done.stderr, "has letters that the encoding of this process, ascii, lacks", "cach\\xe9")
    assert "LC_ALL=C.UTF-8" in done.stderr
    assert sorted(tmp_path.rglob("*")) == before  # nothing at a place whose name is another one


def test_a_plain_folder_under_a_plain_encoding(tmp_path: Path) -> None:
    equip(tmp_path)
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = qnb("run task.yaml --quiet", tmp_path, **plain)
    assert done.returncode == 0, done.stderr
    done = qnb("runs", tmp_path, **plain)
    assert done.returncode == 0, done.stderr
    assert "finished" in done.stdout


def test_results_that_standard_output_does_not_take(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=64k") as disk:
        with contextlib.suppress(OSError), (disk / "ballast").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        with (disk / "out").open("w") as out:
            command = [sys.executable, "-m", "qnb.cli", "schema"]
            done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, env=environment(tmp_path), text=True)
        assert done.returncode == 1
        assert done.stderr.startswith("error: no space left on the disk")
        assert "Traceback" not in done.stderr


def test_two_cleanings_at_once(tmp_path: Path) -> None:
    """Each deleted run is removed by one of them, and neither fails."""
    equip(tmp_path)
    for _ in range(2):
        assert qnb("run task.yaml --quiet", tmp_path).returncode == 0
    session = Session(Settings.from_env().with_(work_dir=tmp_path))
    from qnb.cleaning import delete_run
    from qnb.handle import RunHandle
    from qnb.rundir import list_run_dirs

    for directory in list_run_dirs(session.settings.runs_dir):
        handle = RunHandle(directory)
        delete_run(handle, lambda h=handle: h.recorder._store.delete_run(h.recorder.id))  # type: ignore[misc]
    done: list[subprocess.CompletedProcess[str]] = []
    threads = [threading.Thread(target=lambda: done.append(qnb("runs --clean", tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
        time.sleep(0.01)
    for thread in threads:
        thread.join()
    assert [d.returncode for d in done] == [0] * 4, [d.stderr for d in done]
    assert all("Traceback" not in d.stderr for d in done)
    assert sum("task" in d.stdout for d in done) >= 1
    assert not list(session.settings.runs_dir.iterdir())
