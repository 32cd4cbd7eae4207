"""Hands events to the journal and to listeners, so that neither a full disk nor a view holds up who emits them.

1. One thread writes the journal. Who emits waits until his event is written, but never for a disk in trouble, and not
   where the event arose in the writing itself: no event waits for another one.
2. What the disk does not take stays in line, and is written in order when there is room. When very much waits, events
   that the next one of their kind replaces are left out, which is told.
3. Listeners are called in a thread of their own. One that raises is told and called no more, one that blocks is left
   behind. What arises in that thread is for the journal alone: a listener that logs would hear itself for ever. What
   arises while an event is written is written as well, but not what arises from that.
"""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from ..refused import refusal
from .output import LINE_LIMIT, bounded, is_redirected

__all__ = ["LAST_WAIT", "FanOut"]

E = TypeVar("E")
E_co = TypeVar("E_co", covariant=True)
MANY = 20_000
RETRY = 0.5
PATIENCE = 1.0
"""Seconds that who emits waits for the disk; after that nobody does, until it has caught up."""
LAST_WAIT = 5.0
"""Seconds that a shell or notebook waits at the end of a run: for room on the disk, for a view that blocks."""


class _Line(Protocol[E_co]):
    def __call__(self, *, text: str, level: str) -> E_co: ...


class FanOut(Generic[E]):
    """Called with an event, from any thread; a context manager that is open as long as events may come.

    Parameters
    ----------
    append : callable
        Writes an event to the journal; raises OSError when the disk does not take it.
    listeners : sequence of callable
        Called with every event.
    line : callable
        Makes an event that tells something, of ``text`` and ``level``.
    spare : tuple of type
        Kinds of events that may be left out when very many wait.
    """

    def __init__(
        self,
        append: Callable[[E], object],
        listeners: Sequence[Callable[[E], None]] = (),
        *,
        line: _Line[E],
        spare: tuple[type, ...] = (),
    ) -> None:
        self._append, self._listeners, self._line, self._spare = append, list(listeners), line, spare
        self._inbox: queue.SimpleQueue[_Item[E]] = queue.SimpleQueue()
        self._heard: queue.SimpleQueue[E | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="qnb-journal", daemon=True)
        self._teller = threading.Thread(target=self._tell, name="qnb-listeners", daemon=True)
        self._keeps_up = True
        self._echoes = False
        self._ended = False
        self._told = False
        self._left_out = 0

    def __enter__(self) -> Self:
        self._writer.start()
        if self._listeners:
            self._teller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End both threads; a listener that blocks is given `LAST_WAIT` seconds."""
        self._ended = True
        self._inbox.put(_Item(None, threading.Event()))
        self._writer.join(LAST_WAIT)
        self._heard.put(None)
        if self._listeners:
            self._teller.join(LAST_WAIT)

    def __call__(self, event: E) -> None:
        """Take an event in; after the end, and in a copy of the process, nothing happens."""
        if self._ended or not self._writer.is_alive():
            return
        thread = threading.current_thread()
        if self._echoes and thread is self._writer:
            return
        changed: Any = event
        if len(getattr(event, "text", "")) > LINE_LIMIT:
            changed = replace(changed, text=bounded(changed.text))
        written = threading.Event()
        self._inbox.put(_Item(changed, written, thread is self._writer))
        if self._listeners and thread is not self._teller:
            self._heard.put(changed)
        if self._keeps_up and thread is not self._writer and not written.wait(PATIENCE):
            self._keeps_up = False

    def catch_up(self, seconds: float | None, give_up: Callable[[], bool] = lambda: False) -> bool:
        """Return whether all that was emitted is written; waits for that.

        Parameters
        ----------
        seconds : float or None
            The longest wait; None as long as it takes.
        give_up : callable
            Asked about twice a second whether to wait no longer.
        """
        reached = threading.Event()
        self._inbox.put(_Item(None, reached))
        end = None if seconds is None else time.monotonic() + seconds
        while not reached.wait(RETRY if end is None else min(RETRY, max(0.0, end - time.monotonic()))):
            if give_up() or (end is not None and time.monotonic() >= end):
                return False
        return True

    def _write(self) -> None:
        waiting: deque[_Item[E]] = deque()
        again = 0.0
        while not self._ended:
            with contextlib.suppress(queue.Empty):
                item = self._inbox.get(timeout=max(0.0, again - time.monotonic()) if waiting else None)
                if again:
                    item.wait_no_more()
                if len(waiting) >= MANY and isinstance(item.event, self._spare):
                    self._left_out += 1
                else:
                    waiting.append(item)
            if time.monotonic() >= again:
                again = 0.0 if self._write_all(waiting) else time.monotonic() + RETRY

    def _write_all(self, waiting: deque[_Item[E]]) -> bool:
        """Write what waits; return False while the disk does not take it."""
        while waiting and not self._ended:
            item = waiting[0]
            try:
                self._echoes = item.echo
                try:
                    if item.event is not None:
                        self._append(item.event)
                finally:
                    self._echoes = False
            except OSError as error:
                self._keeps_up = False
                for held in waiting:
                    held.wait_no_more()
                self._say_trouble(error)
                return False
            except Exception as error:  # noqa: BLE001 - an event that cannot be written must not take the others with it
                kind = type(item.event).__name__
                text = f"an event of the kind {kind} cannot be written: {type(error).__name__}: {error}"
                if not item.echo:
                    self(self._line(text=text, level="error"))
            waiting.popleft()
            item.written.set()
        if self._left_out:
            text = f"{self._left_out:,} events are missing here: the disk was full"
            self._left_out = 0
            self(self._line(text=text, level="warning"))
        self._keeps_up = True
        return True

    def _say_trouble(self, error: OSError) -> None:
        if self._told:
            return
        self._told = True
        text = f"the journal cannot be written, events wait until it can: {refusal(error)}"
        self(self._line(text=text, level="error"))
        if not self._listeners and not is_redirected(sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # standard error may be full, too, or closed
                sys.stderr.write(f"qnb: {text}\n")

    def _tell(self) -> None:
        while (event := self._heard.get()) is not None:
            for listener in tuple(self._listeners):
                try:
                    listener(event)
                except Exception as error:  # noqa: BLE001 - a view may raise anything, which is no reason to end a run
                    self._listeners.remove(listener)
                    name = getattr(listener, "__qualname__", type(listener).__name__)
                    text = f"{name} shows no more of this: {type(error).__name__}: {error}"
                    self(self._line(text=text, level="error"))


@dataclass(frozen=True, slots=True)
class _Item(Generic[E]):
    """An event in line, or None for a place in it, and who waits for its being written."""

    event: E | None
    written: threading.Event
    echo: bool = False
    """It arose while another one was written."""

    def wait_no_more(self) -> None:
        if self.event is not None:
            self.written.set()
