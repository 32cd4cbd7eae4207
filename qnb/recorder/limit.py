"""A limit of time for calls into a library that has none: a server that stands still keeps its connections open.

A call that takes too long is left behind in its thread, where it ends when the server goes on or its connection breaks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ..threads import start_thread

__all__ = ["Limited", "within"]

T = TypeVar("T")


class Limited:
    """An object whose methods end in time.

    Parameters
    ----------
    inner : object
        Has the methods.
    seconds : float
        What a call may take.
    more : mapping of str to float
        Seconds of methods that may take another time.
    ask : callable
        Asks whether the server is there, in time, and raises when not; before a call while others are left behind.
    """

    def __init__(self, inner: Any, seconds: float, more: Mapping[str, float], ask: Callable[[], None]) -> None:
        self._inner, self._seconds, self._more, self._ask = inner, seconds, more, ask
        self._left: list[threading.Thread] = []

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        seconds = self._more.get(name, self._seconds)

        def call(*given: Any, **named: Any) -> Any:
            self._left = [thread for thread in self._left if thread.is_alive()]
            if self._left:
                self._ask()
            return within(seconds, lambda: method(*given, **named), self._left.append)

        return call


def within(seconds: float, call: Callable[[], T], leave: Callable[[threading.Thread], object] = lambda _: None) -> T:
    """Return what `call` returns, made in a thread.

    Parameters
    ----------
    leave : callable
        Takes the thread of a call that is left behind.

    Raises
    ------
    TimeoutError
        When it takes longer than `seconds`.
    """
    found: list[T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            found.append(call())
        except BaseException as error:  # noqa: BLE001 - raised again where the call was made
            raised.append(error)

    thread = start_thread(run, name="qnb-recorder-call")
    thread.join(seconds)
    if raised:
        raise raised[0]
    if not found:
        leave(thread)
        raise TimeoutError(f"no answer within {seconds:g} s")
    return found[0]
