"""Completion and Shift-Tab help in the kernel: inside ``%%qtask`` cells, and for runs and options of the magics' lines.

The matcher is IPython's (API v2), so it works in every front end. Help under the cursor needs the whole cell, which
IPython's inspector never sees; ipykernel's ``do_inspect`` does, so the extension puts itself before it.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["add_help", "remove_help"]

_CELL = re.compile(r"\s*%%(qtask|qtune)\b")
_LINE = re.compile(r"\s*%%?(qtask|qtune|qshow|qstop|qresume|qruns|qlog|qwhatif)\b(?P<rest>.*)$")
_NAMES_A_RUN = frozenset(("qshow", "qstop", "qresume", "qlog", "qwhatif"))
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
    """Return runs and options for the line of a magic."""
    match = _LINE.match(before)
    if match is None or not match["rest"].startswith(" "):
        return []
    from ..assist import Completion

    word = match["rest"].rpartition(" ")[2]
    if word.startswith("-"):
        options = _options(match[1])
        return [Completion(o, "option", "", len(word)) for o in options if o.startswith(word)]
    if match[1] in _NAMES_A_RUN:
        from ..assist.names import runs
        from ..session import current_session

        known = runs(current_session().settings.runs_dir)
        return [Completion(shlex.quote(r), "run", "", len(word)) for r in known if r.startswith(word)]
    return []


def _options(magic: str) -> list[str]:
    from .. import options

    makers = {"qruns": "runs_parser"}
    maker = getattr(options, makers.get(magic, f"{magic}_parser"), None)
    return [] if maker is None else list(dict.fromkeys(re.findall(r"--[\w-]+", maker().format_usage())))


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
