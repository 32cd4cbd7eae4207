"""Taking turns at a library that keeps in the process what belongs to a fit.

LightGBM has one number of threads for all of its boosters; torch has one number of threads and one generator of random
numbers. Of runs that share a process each would change the numbers of the other, so those who want it otherwise wait.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager

from .context import FitContext

__all__ = ["Turns"]

LOOK_EVERY = 0.2


class Turns:
    """Lets those in together who want the same, the others after them, in the order in which they came.

    Parameters
    ----------
    library : str
        What it is about, for the log.
    """

    def __init__(self, library: str) -> None:
        self._library = library
        self._changed = threading.Condition()
        self._wish: object = None
        self._inside: Counter[int] = Counter()  # by thread
        self._waiting: deque[object] = deque()

    @contextmanager
    def take(self, wish: object, context: FitContext) -> Iterator[None]:
        """Wait until nobody is inside who wants something else than `wish`; a thread that is inside goes on.

        Raises
        ------
        RunStopped
            The context asked to stop meanwhile.
        """
        me = threading.get_ident()
        with self._changed:
            if me not in self._inside:
                self._wait(wish, context)
                self._wish = wish
            self._inside[me] += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside[me] -= 1
                self._inside += Counter()  # without those that are out
                self._changed.notify_all()

    def _wait(self, wish: object, context: FitContext) -> None:
        ticket = object()
        self._waiting.append(ticket)
        told = False
        try:
            while self._waiting[0] is not ticket or (self._inside and self._wish != wish):
                if not told:
                    told = True
                    context.log(f"waits until another run in this process is done with {self._library}")
                context.check_stop()
                self._changed.wait(LOOK_EVERY)
        finally:
            self._waiting.remove(ticket)
            self._changed.notify_all()
