"""What panels share in talking to the front end."""

from __future__ import annotations

from typing import Any

__all__ = ["answer_while_busy"]


def answer_while_busy(comm: Any) -> None:
    """Let the front end's choice of subshell stand for messages of `comm`, so that buttons work while a cell computes.

    JupyterLab sends them to a subshell, which is free then. ipykernel 7.4.0 sends them on to the shell that last wrote
    to the comm, which is the main one, and that one is busy. Other versions have no such hook.
    """
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda data, default: default
