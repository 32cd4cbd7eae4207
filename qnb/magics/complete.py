"""Completion and Shift-Tab help in the kernel: inside ``%%qtask`` cells, and for runs and options of the magics' lines.

The matcher is IPython's (API v2), so it works in every front end. Help under the cursor needs the whole cell, which
IPython's inspector never sees; ipykernel's ``do_inspect`` does, so the extension puts itself before it.
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["add_help", "remove_help"]

_CELL = re.compile(r"\s*%%(qtask|qtune)\b")
_LINE = re.compile(r"\s*%%?(?P<magic>q\w+) (?P<rest>.*)$")
_PLAIN = (str, int, float, bool, list, tuple, dict)


def add_help(shell: InteractiveShell) -> None:
    """Put the matcher and the help into `shell`; doing so twice changes nothing."""
    from IPython.core.completer import context_matcher

    if getattr(shell, "_qnb_matcher", None) is not None:
        return

    @context_matcher(identifier="qnb.cell", priority=100)
    def matcher(context: Any) -> Any:
        return _matches(shell, context.full_text, context.cursor_line, context.cursor_position)

    completer = getattr(shell, "Completer", None)
    if completer is not None:
        completer.custom_matchers.append(matcher)
        shell._qnb_matcher = matcher
    kernel = getattr(shell, "kernel", None)
    if kernel is not None and hasattr(kernel, "do_inspect"):
        before = kernel.do_inspect

        def do_inspect(code: str, cursor_pos: int, detail_level: int = 0, omit_sections: Any = ()) -> Any:
            text = _explained(shell, code, cursor_pos)
            if text is None:
                return before(code, cursor_pos, detail_level, omit_sections)
            return {"status": "ok", "found": True, "data": {"text/plain": text}, "metadata": {}}

        kernel.do_inspect = do_inspect


def remove_help(shell: InteractiveShell) -> None:
    """Take matcher and help out again."""
    matcher = getattr(shell, "_qnb_matcher", None)
    if matcher is not None:
        shell.Completer.custom_matchers.remove(matcher)
        shell._qnb_matcher = None
    kernel = getattr(shell, "kernel", None)
    if kernel is not None:
        vars(kernel).pop("do_inspect", None)


def _matches(shell: InteractiveShell, text: str, line: int, column: int) -> dict[str, Any]:
    lines = text.split("\n")
    first = next((n for n, words in enumerate(lines) if words.strip()), 0)
    found: list[Any] = []
    if _CELL.match(lines[first]) and line > first:
        from ..assist import complete

        body = "\n".join(lines[first + 1 :])
        offset = sum(len(words) + 1 for words in lines[first + 1 : line]) + column
        found = complete(body, offset, _surroundings(shell))
    elif line < len(lines):
        found = _line_matches(lines[line][:column])
    if not found:
        return {"completions": [], "suppress": bool(_CELL.match(lines[first]) and line > first)}
    from IPython.core.completer import SimpleCompletion

    typed = found[0].typed
    return {
        "completions": [SimpleCompletion(one.text, type=one.kind) for one in found],
        "matched_fragment": lines[line][column - typed : column],
        "suppress": True,
        "ordered": True,
    }


def _line_matches(before: str) -> list[Any]:
    """Return what the parser of a magic takes at the end of its line."""
    from ..assist import Completion
    from ..options import MAGICS

    match = _LINE.match(before)
    if match is None or match["magic"] not in MAGICS:
        return []
    *words, word = match["rest"].split(" ")
    found = _taken(MAGICS[match["magic"]](), words, word)
    return [Completion(text, kind, doc, len(word)) for text, kind, doc in found if text.strip("'").startswith(word)]


def _taken(parser: argparse.ArgumentParser, words: list[str], word: str) -> Iterator[tuple[str, str, str]]:
    """Yield text, kind and help of what `parser` takes in the place of `word`, behind `words`."""
    for given in words:
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                parser = action.choices.get(given, parser)
    options = {name: action for action in parser._actions for name in action.option_strings}
    last = options.get(words[-1]) if words else None
    if last is not None and last.nargs != 0:
        yield from _values(last)
    elif word.startswith("-"):
        yield from ((name, "option", action.help or "") for name, action in options.items() if name.startswith("--"))
    else:
        for action in parser._actions:
            if not action.option_strings:
                yield from _values(action)


def _values(action: argparse.Action) -> Iterator[tuple[str, str, str]]:
    if action.metavar == "RUN":
        from ..assist.names import runs
        from ..session import current_session

        yield from ((shlex.quote(run), "run", "") for run in runs(current_session().settings.runs_dir))
    yield from ((str(choice), "value", "") for choice in action.choices or ())


def _explained(shell: InteractiveShell, code: str, cursor: int) -> str | None:
    head, newline, body = code.lstrip("\n").partition("\n")
    skipped = len(code) - len(code.lstrip("\n"))
    if not newline or not _CELL.match(head):
        return None
    offset = cursor - skipped - len(head) - 1
    if offset < 0:
        return None
    from ..assist import explain_at

    return explain_at(body, offset, _surroundings(shell))


def _surroundings(shell: InteractiveShell) -> Any:
    from ..assist import Surroundings
    from ..session import current_session

    names = [k for k, v in shell.user_ns.items() if not k.startswith("_") and isinstance(v, _PLAIN)]
    return Surroundings(current_session().settings, tuple(sorted(names)))
