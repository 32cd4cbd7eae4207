"""Whether a run is going on in this process, which a worker's lifetime rests on."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

from qnb.errors import PoolError
from qnb.execution.worker import busy, execute_run
from qnb.rundir import RunDir


def test_runs_that_begin_and_end_at_once_are_counted_one_by_one(tmp_path: Path) -> None:
    def step_by_step(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_name != "execute_run":
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            time.sleep(0)  # another thread may go on in the middle of a line
        return step_by_step

    def runs() -> None:
        sys.settrace(step_by_step)
        for _ in range(100):
            try:
                execute_run(RunDir(tmp_path))
            except PoolError:  # there is no request
                continue
        sys.settrace(None)

    threads = [threading.Thread(target=runs) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not busy()
