"""Every exception that qnb raises on purpose.

::

    QnbError
     ├── ConfigError             a task or a setting is wrong; carries every Problem that was found
     ├── UnknownNameError        no plug-in, field or universe of that name; carries the nearest right ones
     ├── MissingExtraError       an optional library is not installed; names the extra
     ├── ExpressionError         a factor expression cannot be read; carries text and column
     ├── DataError               market data is missing, broken or not where it was said to be
     │    └── EmptyDataError     a universe, segment or label without a single usable row
     ├── CacheError              the cache cannot be read or written (disk full, no permission)
     ├── RecorderError           the tracking store refuses or cannot be reached
     ├── ModelError              a model cannot be fitted or used
     │    ├── NotFittedError     predict before fit
     │    └── DivergedError      the loss left the numbers; carries the step
     ├── BacktestError           a backtest that cannot be run as asked
     ├── PoolError               a worker or the pool failed
     ├── StudyError              a study cannot be started, gone on with or kept
     └── RunStopped              somebody asked the run to stop (not a failure)

A message says what was wrong, what was received, where, and the next step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

__all__ = [
    "BacktestError",
    "CacheError",
    "ConfigError",
    "DataError",
    "DivergedError",
    "EmptyDataError",
    "ExpressionError",
    "MissingExtraError",
    "ModelError",
    "NotFittedError",
    "PoolError",
    "Problem",
    "QnbError",
    "RecorderError",
    "RunStopped",
    "StudyError",
    "UnknownNameError",
    "nearest",
    "remedy_for",
]


class QnbError(Exception):
    """Base of all errors that qnb raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a configuration.

    Attributes
    ----------
    message : str
        What is wrong and what was received, in one sentence without a full stop.
    remedy : str
        The next step; empty when the message already says it.
    path : str
        Dotted place in the document, e.g. ``task.model.kwargs.learning_rate``; empty for the whole document.
    line : int or None
        Line in the text as the user sees it, 1-based (in a cell, ``%%qtask`` is line 1); None without a text.
    column : int or None
        Column in that line, 1-based, where it is known.
    severity : str
        ``"error"`` or ``"warning"``; a warning does not stop the run.
    """

    message: str
    remedy: str = ""
    path: str = ""
    line: int | None = None
    column: int | None = None
    severity: str = "error"

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line is not None else f"{self.path}: " if self.path else ""
        return f"{where}{self.message}" + (f"; {self.remedy}" if self.remedy else "")


class ConfigError(QnbError):
    """A task, a study or a setting is wrong.

    Parameters
    ----------
    problems : sequence of Problem or str
        All that was found, in the order of the lines.
    source : str
        Name of the file or cell, put before the list.
    """

    def __init__(self, problems: Sequence[Problem] | str, *, source: str = "") -> None:
        self.problems: tuple[Problem, ...] = (Problem(problems),) if isinstance(problems, str) else tuple(problems)
        self.source = source
        lines = [str(p) for p in self.problems]
        head = f"{source}: " if source else ""
        if len(lines) == 1:
            super().__init__(head + lines[0])
        else:
            super().__init__(f"{head}{len(lines)} problems\n" + "\n".join(f"  {line}" for line in lines))

    def __reduce__(self) -> tuple[object, ...]:
        return (_config_error, (self.problems, self.source))


def _config_error(problems: Sequence[Problem], source: str) -> ConfigError:
    return ConfigError(problems, source=source)


class UnknownNameError(QnbError):
    """There is nothing of that kind under that name.

    Parameters
    ----------
    kind : str
        What was looked for, in words: ``"model"``, ``"field"``, ``"universe"``.
    name : str
        What was received.
    known : iterable of str
        The valid names, from which the nearest are offered.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str] = (), *, hint: str = "") -> None:
        self.kind, self.name, self.known, self.hint = kind, name, tuple(known), hint
        self.suggestions = nearest(name, self.known)
        tail = f"; did you mean {_quoted(self.suggestions)}?" if self.suggestions else ""
        super().__init__(f"no {kind} {name!r}{tail}" + (f"; {hint}" if hint else ""))

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.kind, self.name, self.known))


class MissingExtraError(QnbError):
    """An optional library is not installed.

    Parameters
    ----------
    library : str
        The library's import name.
    extra : str
        The extra of qnb that brings it.
    """

    def __init__(self, library: str, extra: str) -> None:
        self.library, self.extra = library, extra
        super().__init__(f"{library} is not installed; install it with: pip install 'qnb[{extra}]'")

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.library, self.extra))


class ExpressionError(QnbError):
    """A factor expression cannot be read or evaluated.

    Parameters
    ----------
    message : str
        What is wrong.
    text : str
        The expression as received.
    column : int
        1-based column in `text` where the trouble starts.
    """

    def __init__(self, message: str, *, text: str = "", column: int = 1) -> None:
        self.message, self.text, self.column = message, text, column
        pointer = f"\n  {text}\n  {' ' * (column - 1)}^" if text else ""
        super().__init__(f"column {column}: {message}{pointer}")

    def __reduce__(self) -> tuple[object, ...]:
        return (_expression_error, (self.message, self.text, self.column))


def _expression_error(message: str, text: str, column: int) -> ExpressionError:
    return ExpressionError(message, text=text, column=column)


class DataError(QnbError):
    """Market data is missing, broken or not where it was said to be."""


class EmptyDataError(DataError):
    """A universe, a segment or a label has not a single usable row."""


class CacheError(QnbError):
    """The cache cannot be read or written."""


class RecorderError(QnbError):
    """The tracking store refuses a call or cannot be reached."""


class ModelError(QnbError):
    """A model cannot be fitted or used as asked."""


class NotFittedError(ModelError):
    """A model was asked to predict before it was fitted."""


class DivergedError(ModelError):
    """The loss became NaN or infinite.

    Parameters
    ----------
    message : str
        What happened, with the remedy.
    step : int
        Training step or iteration at which it was seen, 1-based.
    """

    def __init__(self, message: str, step: int = 0) -> None:
        self.step = step
        super().__init__(message)


class BacktestError(QnbError):
    """A backtest cannot be run as asked."""


class PoolError(QnbError):
    """A worker or the pool itself failed."""


class StudyError(QnbError):
    """A study cannot be started, gone on with or kept."""


class RunStopped(QnbError):
    """Somebody asked the run to stop and it did, at a safe place."""


def nearest(name: str, known: Iterable[str], n: int = 3) -> tuple[str, ...]:
    """Return up to `n` of the `known` names that look most like `name`, best first.

    Examples
    --------
    >>> nearest("lstmm", ["lstm", "alstm", "gru"])
    ('lstm', 'alstm')
    """
    names = list(dict.fromkeys(known))
    lowered: dict[str, str] = {}
    for k in names:
        lowered.setdefault(k.lower(), k)
    return tuple(lowered[m] for m in get_close_matches(name.lower(), list(lowered), n=n, cutoff=0.6))


def remedy_for(name: str, known: Iterable[str]) -> str:
    """Return what to do about a wrong `name`: the nearest of the `known` ones, or all of them.

    Examples
    --------
    >>> remedy_for("lstmm", ["lstm", "gru"]), remedy_for("zebra", ["lstm", "gru"])
    ("did you mean 'lstm'?", 'valid: lstm, gru')
    """
    names = list(known)
    near = nearest(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"valid: {', '.join(names)}"


def _quoted(names: Sequence[str]) -> str:
    return " or ".join(repr(n) for n in names)
