"""Reads numpydoc docstrings: the summary, and what each parameter is."""

from __future__ import annotations

import inspect
import re

__all__ = ["parameter_docs", "summary"]

_HEADING = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.MULTILINE)


def summary(doc: str) -> str:
    """Return the first paragraph on one line.

    Examples
    --------
    >>> summary("Trees by\\nLightGBM.\\n\\nMore.")
    'Trees by LightGBM.'
    """
    return " ".join(inspect.cleandoc(doc).split("\n\n", 1)[0].split()) if doc else ""


def parameter_docs(doc: str) -> dict[str, str]:
    """Return parameter -> its text on one line, from the section ``Parameters``.

    Examples
    --------
    >>> parameter_docs("A.\\n\\nParameters\\n----------\\na, b : int\\n    Two\\n    numbers.\\nc : str\\n    Text.")
    {'a': 'Two numbers.', 'b': 'Two numbers.', 'c': 'Text.'}
    """
    text = inspect.cleandoc(doc) if doc else ""
    headings = list(_HEADING.finditer(text))
    at = next((n for n, h in enumerate(headings) if h[1] == "Parameters"), None)
    if at is None:
        return {}
    end = headings[at + 1].start() if at + 1 < len(headings) else len(text)
    found: dict[str, list[str]] = {}
    names: list[str] = []
    for line in text[headings[at].end() : end].split("\n"):
        if line and not line.startswith(" "):
            names = [n.strip().lstrip("*") for n in line.partition(" :")[0].split(",")]
            for name in names:
                found[name] = []
        elif line.strip():
            for name in names:
                found[name].append(line.strip())
    return {name: " ".join(lines) for name, lines in found.items() if name}
