"""How long a worker lives: as long as the owner of the pool, and to the end of what it runs."""

from __future__ import annotations

import atexit
import os
import shutil
import threading
import time
from collections.abc import Sequence

from ..machine import ProcessId
from .worker import busy

__all__ = ["end_with"]

LOOK_EVERY = 1.0
TIDY_TIME = 3.0


def end_with(owner: ProcessId, leave: Sequence[str]) -> None:
    """End this process soon after `owner` has ended and nothing is running; returns at once.

    Parameters
    ----------
    owner : ProcessId
        The process the worker belongs to.
    leave : sequence of str
        Files and folders to remove at the end.
    """
    threading.Thread(target=_watch, args=(owner, tuple(leave)), name="qnb-lifetime", daemon=True).start()


def _watch(owner: ProcessId, leave: tuple[str, ...]) -> None:
    while owner.alive or busy():
        time.sleep(LOOK_EVERY)
    # The kernel's own tidying up may wait for its main thread, which waits for messages that will not come.
    tidy = threading.Thread(target=atexit._run_exitfuncs, daemon=True)
    tidy.start()
    tidy.join(TIDY_TIME)
    for name in leave:
        if os.path.isdir(name):
            shutil.rmtree(name, ignore_errors=True)
        elif os.path.exists(name):
            os.unlink(name)
    os._exit(0)
