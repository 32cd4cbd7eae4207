"""A project as it is used, and copies of it that are damaged in every way that was thought of, by seed."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from qnb.config import Settings
from qnb.errors import QnbError
from qnb.events import LogLine, MetricLogged, Progress, RunFailed, RunStarted, RunStopped, StageChanged
from qnb.execution.worker import execute_run
from qnb.journal import JOURNAL_NAME, JournalWriter
from qnb.pool.place import Place
from qnb.pool.tickets import Ticket
from qnb.rundir import RunDir, create_run
from qnb.task.spec import load_task
from qnb.tuning.engine import manage
from qnb.tuning.open import open_study
from qnb.tuning.plan import load_study

__all__ = ["WITNESS", "damaged", "project"]

WITNESS = "witness"
"""Name of the run that is never damaged: it waits in the queue, and the pool has to come to it."""
MARKET = "market: demo:instruments=12,years=3\n"
TASK = (
    MARKET
    + """\
model: linear
features: {MOM: '$close/Ref($close, 5) - 1'}
segments: {train: [2018-01-02, 2018-12-31], valid: [2019-01-02, 2019-06-28], test: [2019-07-01, 2019-12-31]}
strategy: {topk: 5, n_drop: 1}
benchmark: DMINDEX
"""
)
STUDY = TASK.replace("model: linear", "model: {lightgbm: {num_leaves: !int [4, 32], num_boost_round: 5}}").replace(
    "strategy: {topk: 5, n_drop: 1}\n", ""
)
GONE = 2**22 + 1
"""Number of a process that there is not."""


def project(folder: Path) -> Path:
    """Make a project in `folder` with runs of every kind, a study, a queue; returns it."""
    folder.mkdir()
    settings = Settings.from_env().with_(work_dir=folder)
    finished = create_run(load_task(TASK, base_dir=folder), _settings(settings, folder), name="finished")
    assert execute_run(finished)["status"] == "finished"
    trained = [
        RunStarted(pid=GONE, began=1.0, worker="worker 1", attempt=1),
        StageChanged(stage="fit", status="started"),
        *(MetricLogged(name=f"loss.{part}", value=1 / k, step=k) for k in range(1, 40) for part in ("train", "valid")),
        Progress(stage="fit", step=39, total=100, unit="epoch", best_step=39, stop_at=59),
        LogLine(text="said", level="warning", stage="fit"),
    ]
    failed = RunFailed(error="ValueError", message="too few rows", traceback="Traceback ...", line=3)
    made = {
        "net": [*trained, RunStopped(reason="asked", resumable=True)],
        "failed": [*trained, failed],
        "lost": trained,
        "taken over": trained,
        "waiting": [],
        "deleted": [*trained, failed],
        WITNESS: [],
    }
    for name, events in made.items():
        directory = create_run(load_task(TASK, base_dir=folder), _settings(settings, folder), name=name)
        with JournalWriter(directory.path) as journal:
            for event in events:
                journal.append(event)
        if name == "net":
            directory.checkpoint_dir.mkdir()
            (directory.checkpoint_dir / "checkpoint.pt").write_bytes(b"PK\3\4")
            (directory.path / "main.pkl").write_bytes(b"\x80\4}.")
        if name in ("taken over", "waiting", WITNESS):
            Place(folder).make().tickets.put(Ticket(directory.run_id, "", retries=0))
        directory.set_deleted(name == "deleted")
    plan = load_study(STUDY, name="study", options={"trials": 2, "jobs": 1, "threads": 1}, base_dir=folder)
    assert manage(open_study(plan, settings.with_(**plan.task.settings))).status == "finished"
    place = Place(folder)
    place.write_settings({"workers": 2, "idle_minutes": 5})
    place.write_status(
        {"pid": GONE, "began": 1.0, "workers": [{"name": "worker 1", "run": "", "pid": 1, "threads": 1}]}
    )
    place.register()
    (place.workers / "worker-1.json").write_text('{"transport": "ipc", "ip": "/nowhere/qnb-x/k"}')
    (place.workers / "worker-1.pid").write_text(f"{GONE} 1")
    (folder / ".qnb" / "unwritten").mkdir()
    spooled = '["metric", "IC", 0.5, 1, 1.0]'
    (folder / ".qnb" / "unwritten" / "abc.ndjson").write_text(f'{{"run_id": "abc", "uri": "sqlite:///x"}}\n{spooled}\n')
    return folder


def damaged(sound: Path, target: Path, seed: int) -> list[str]:
    """Copy the project `sound` to `target`, damage some of its files, and return what was done."""
    shutil.copytree(sound, target)
    rng = random.Random(seed)
    kept = witness(target)
    files = [p for p in _files(target) if kept.run_id not in str(p)]
    done = []
    for path in rng.sample(files, rng.choice((1, 1, 2, 3, 8))):
        do = rng.choice(_DAMAGES)
        do(path, rng)
        done.append(f"{do.__name__[1:]} {path.relative_to(target)}")
    for _ in range(rng.choice((0, 0, 1, 2))):
        done.append(_stranger(target, rng))
    return done


def witness(folder: Path) -> RunDir:
    """Return the run that is not damaged."""
    for path in (folder / ".qnb" / "runs").iterdir():
        with suppress(QnbError):
            if RunDir(path).name() == WITNESS:
                return RunDir(path)
    raise AssertionError("the run that is not damaged is not there")


def _settings(settings: Settings, folder: Path) -> Settings:
    return settings.with_(**load_task(TASK, base_dir=folder).settings)


def _files(folder: Path) -> list[Path]:
    """Return what may be damaged, small files of runs more often than what is large."""
    found = [p for p in sorted((folder / ".qnb").rglob("*")) if not p.is_symlink()]
    files = [p for p in found if p.is_file() and p.name not in ("lock", ".lock")]
    folders = [
        p for p in found if (p.is_dir() and p.parent.name in ("runs", "pool", "studies")) or p.name == "checkpoint"
    ]
    often = [p for p in files if p.suffix in (".json", ".ndjson")]
    return [*files, *often, *often, *folders]


def _truncated(path: Path, rng: random.Random) -> None:
    _write(path, lambda data: data[: rng.randrange(len(data) + 1)])


def _flipped(path: Path, rng: random.Random) -> None:
    def flip(data: bytes) -> bytes:
        changed = bytearray(data)
        for _ in range(rng.choice((1, 1, 4, 50))):
            if changed:
                changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        return bytes(changed)

    _write(path, flip)


def _emptied(path: Path, rng: random.Random) -> None:
    _write(path, lambda data: b"")


def _zeroed(path: Path, rng: random.Random) -> None:
    def zero(data: bytes) -> bytes:
        at = rng.randrange(len(data) + 1)
        return data[:at] + b"\0" * len(data[at:])

    _write(path, zero)


def _encoded(path: Path, rng: random.Random) -> None:
    encoding = rng.choice(("utf-16", "utf-32", "utf-8-sig", "latin-1"))
    _write(path, lambda data: (data.decode("utf-8", "replace") + "é").encode(encoding, "replace"))


def _removed(path: Path, rng: random.Random) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _other_kind(path: Path, rng: random.Random) -> None:
    was = path.is_dir()
    _removed(path, rng)
    if was:
        path.write_text("a file")
    elif rng.random() < 0.7:
        path.mkdir()
        (path / "inside").touch()
    else:
        path.symlink_to(rng.choice((path.name, "nowhere")))


def _retyped(path: Path, rng: random.Random) -> None:
    """Give places of JSON values of a wrong type, size or kind, remove some and add unknown ones."""

    def retype(data: bytes) -> bytes:
        lines = data.split(b"\n") if path.suffix == ".ndjson" else [data]
        for _ in range(rng.choice((1, 2, 5))):
            at = rng.randrange(len(lines))
            try:
                value = json.loads(lines[at])
            except ValueError:
                continue
            lines[at] = json.dumps(_changed(value, rng)).encode()
        return b"\n".join(lines)

    _write(path, retype)


def _mixed(path: Path, rng: random.Random) -> None:
    """Put lines in that no version wrote, or a later one, and repeat or drop others."""

    def mix(data: bytes) -> bytes:
        lines = data.split(b"\n")
        for _ in range(rng.choice((1, 3, 10))):
            line = rng.choice((*_LINES, rng.choice(lines), rng.choice(lines)[: rng.randrange(30)]))
            lines.insert(rng.randrange(len(lines) + 1), line)
        del lines[: rng.choice((0, 0, 3))]
        return b"\n".join(lines)

    _write(path, mix)


def _swapped(path: Path, rng: random.Random) -> None:
    """Give a file what another one of the project holds."""
    others = [p for p in path.parent.rglob("*") if p.is_file()]
    if others:
        content = rng.choice(others).read_bytes()
        _write(path, lambda data: content)


_DAMAGES = (
    _truncated, _flipped, _emptied, _zeroed, _encoded, _removed, _other_kind, _retyped, _retyped, _retyped, _mixed,
    _swapped,
)  # fmt: skip
_VALUES = (
    None, True, -1, 0, 1.5, 1e308, math.nan, math.inf, 2**31, 2**63, 10**400, "", "x", "a" * 5000, "\0", "\ud800",
    "/etc", "../../x", [], {}, [[]], {"a": 1}, "nan", "2020-01-01",
)  # fmt: skip
_LINES = (
    b"", b"[]", b"17", b"null", b"{", b"}", b"[" * 3000, b"\xff" * 40,
    b'{"event":"FromTheFuture","time":1.0,"x":[1]}', b'{"event":"MetricLogged","nom":"z"}',
    b'{"event":["RunFinished"]}',
    b'{"event":"RunFinished"}', b'{"event":"RunRetried"}', b'{"event":"RunStarted","pid":1}', b'{"event":"RunStarted"}',
    b'{"event":"RunQueued","run_id":"../x","name":"\\ud800"}', b'{"seq":"x","event":"LogLine","text":7}',
    b'{"event":"StageChanged","stage":"fit","status":"odd","time":1.0}', b'{"event":"RunStopped","time":1e300}',
    b'{"event":"ResourceSampled","cpu":"nan","memory":-1,"time":1e9}', b'{"event":"StudyEnded","status":"odd"}',
    b'{"event":"Progress","stage":"fit","step":1e400,"time":1.0}', b'{"event":"StudyVerdict","verdict":{"kind":[]}}',
    b'{"event":"TrialEnded","trial":-5,"state":"odd","values":["nan"]}', b'{"event":"TrialValue","trial":1,"fold":9}',
)  # fmt: skip
_NAMES = (
    "x",
    ".hidden",
    "a b",
    "abcdef123456",
    "x.json",
    "x.json",
    "lock.json",
    "x.pid",
    "7-8",
    "\u00b2-\u00b2",
    "0" * 200,
)
_INSIDE = ("request.json", JOURNAL_NAME, "task.yaml", "x")


def _changed(value: Any, rng: random.Random) -> Any:
    """Return JSON with one place changed, somewhere within."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        if rng.random() < 0.15:
            return {k: v for k, v in value.items() if k != key}
        if rng.random() < 0.1:
            return {**value, "colour": "red"}
        return {**value, key: _changed(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.7:
        at = rng.randrange(len(value))
        return [*value[:at], _changed(value[at], rng), *value[at + 1 :]]
    found = rng.choice(_VALUES)
    if rng.random() < 0.05:
        for _ in range(rng.choice((5, 80, 900))):
            found = [found]
    return found


def _stranger(folder: Path, rng: random.Random) -> str:
    """Put something where qnb looks that it did not put there."""
    where = rng.choice(("runs", "pool/tickets", "pool/clients", "pool/workers", "studies", "unwritten", "pool"))
    name = rng.choice(_NAMES)
    place = folder / ".qnb" / where
    if not place.is_dir() or os.path.lexists(place / name):
        return f"nothing in {where}"
    if rng.random() < 0.5:
        (place / name).write_bytes(rng.choice((*_LINES, b'{"colour": "red"}', b'{"priority": "high"}')))
    else:
        (place / name).mkdir()
        if rng.random() < 0.5:
            (place / name / rng.choice(_INSIDE)).write_bytes(rng.choice(_LINES))
    return f"stranger {where}/{name}"


def _write(path: Path, change: Callable[[bytes], bytes]) -> None:
    if path.is_file():
        path.write_bytes(change(path.read_bytes()))
