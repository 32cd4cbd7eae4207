"""What goes wrong in a magic is one message without a traceback of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from IPython.core.error import UsageError

from ..errors import QnbError
from ..refused import refusal

__all__ = ["one_message"]


@contextmanager
def one_message() -> Iterator[None]:
    """Raise `UsageError`, which IPython shows as a line, for our own errors and for what the system refused."""
    try:
        yield
    except QnbError as error:
        raise UsageError(str(error)) from None
    except (OSError, ImportError) as error:
        said = refusal(error)
        if not said:
            raise
        raise UsageError(said) from None
