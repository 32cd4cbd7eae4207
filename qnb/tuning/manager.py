"""The process that manages a study in the background, so that it outlives the notebook that started it."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from pathlib import Path

from ..errors import QnbError, StudyError
from ..machine import process_id
from . import events as ev
from .engine import manage
from .studydir import GoingOnError, StudyDir

__all__ = ["main", "start_manager"]

_ROOT = str(Path(__file__).resolve().parents[2])
_OF_THE_NOTEBOOK = ("JPY_PARENT_PID", "JPY_SESSION_NAME", "MPLBACKEND")


def start_manager(directory: StudyDir) -> int:
    """Start a process that manages the study and return its id; it is in no way tied to this one."""
    env = {k: v for k, v in os.environ.items() if k not in _OF_THE_NOTEBOOK}
    env["PYTHONPATH"] = os.pathsep.join(p for p in (env.get("PYTHONPATH"), _ROOT) if p)
    (directory.path / "logs").mkdir(exist_ok=True)
    try:
        with (directory.path / "logs" / "manager.txt").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "qnb.tuning.manager", str(directory.path)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=env,
            )  # fmt: skip
    except OSError as error:
        directory.claim(None)
        raise StudyError(f"the study's manager cannot be started: {error}") from error
    directory.claim(process_id(process.pid))
    process.returncode = 0  # it is nobody's child to wait for: no warning when this process forgets it
    return process.pid


def main(argv: list[str] | None = None) -> int:
    """Manage the study whose directory is named on the command line; a pause waits until somebody goes on."""
    directory = StudyDir(Path((argv or sys.argv[1:])[0]))
    try:
        return 0 if manage(directory, waits=True).status == "finished" else 1
    except GoingOnError as error:  # the one that manages it tells how it stands
        sys.stderr.write(f"{error}\n")
        return 1
    except Exception as error:  # noqa: BLE001 - the last place that can tell anybody
        traceback.print_exc()
        text = str(error) if isinstance(error, QnbError) else f"{type(error).__name__}: {error}"
        log = ev.EventLog(directory.path)
        log(ev.StudyEnded(status="failed", message=text))
        log.close()
        return 1


if __name__ == "__main__":
    sys.exit(main())
