"""IPython magics: ``%load_ext qnb`` brings ``%%qtask``, ``%qshow``, ``%qstop`` and ``%qruns``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["load_ipython_extension", "unload_ipython_extension"]


def load_ipython_extension(ipython: InteractiveShell) -> None:
    """Register the magics and say which runs are still going. Called by ``%load_ext qnb``."""
    from .complete import add_help
    from .qtask import QnbMagics

    add_help(ipython)
    ipython.register_magics(QnbMagics(shell=ipython))
    from ..session import current_session

    going = current_session().going()
    if going:
        names = ", ".join(h.name for h in going[:5])
        print(f"{len(going)} run{'s are' if len(going) > 1 else ' is'} still going: {names}; %qshow NAME shows it")


def unload_ipython_extension(ipython: InteractiveShell) -> None:
    """Close the session; runs go on. Called by ``%unload_ext qnb``."""
    from ..session import current_session
    from .complete import remove_help

    remove_help(ipython)
    current_session().close()
