"""IPython magics: ``%load_ext qnb`` brings ``%%qtask``, ``%qshow``, ``%qstop``, ``%qpool`` and the others."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["load_ipython_extension", "unload_ipython_extension"]


def load_ipython_extension(ipython: InteractiveShell) -> None:
    """Register the magics and say which runs are still going. Called by ``%load_ext qnb``."""
    from .complete import add_help
    from .qtask import QnbMagics
    from .qtune import TuneMagics

    add_help(ipython)
    ipython.register_magics(QnbMagics(shell=ipython))
    ipython.register_magics(TuneMagics(shell=ipython))
    from ..errors import QnbError
    from ..refused import refusal

    try:
        _tell_what_is_going(ipython)
    except (QnbError, OSError) as error:  # the magics are there all the same
        print(f"warning: {refusal(error) or error}", file=sys.stderr)


def _tell_what_is_going(ipython: InteractiveShell) -> None:
    from ..errors import PoolError
    from ..refused import require_encodable
    from ..session import current_session

    session = current_session()
    require_encodable(session.settings.work_dir)
    going = session.attach()
    if going:
        names = ", ".join(h.name for h in going[:5]) + (", …" if len(going) > 5 else "")
        print(f"{len(going)} run{'s are' if len(going) > 1 else ' is'} still going: {names}; %qshow shows them")
    elif getattr(ipython, "kernel", None) is not None and os.environ.get("QNB_PREWARM", "1") != "0":
        with contextlib.suppress(PoolError, OSError):  # told when a run is submitted
            session.pool().ensure()  # the libraries load while the first cell is being written


def unload_ipython_extension(ipython: InteractiveShell) -> None:
    """Close the session; runs go on. Called by ``%unload_ext qnb``."""
    from ..session import current_session
    from .complete import remove_help

    remove_help(ipython)
    current_session().close()
