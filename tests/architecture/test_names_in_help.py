"""Whatever magic, command or option a help text, a message or a page names is there."""

from __future__ import annotations

import argparse
import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from qnb.magics.qtask import QnbMagics
from qnb.magics.qtune import TuneMagics
from qnb.options import MAGICS, command_parser

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"]
FILES = sorted(
    [*(ROOT / "qnb").rglob("*.py"), *(ROOT / "qnb").rglob("*.js"), *PAGES, *ROOT.glob("example_notebooks/*")]
)
MAGIC = re.compile(r"(?<![\w%])(%%?)(q[a-z]+)\b([^`\n;·]*)")
COMMAND = re.compile(r"(?:(?<=`)|(?<=: )|^(?:  +|\$ ))qnb ([a-z][a-z-]*)([^`\n;·]*)", re.M)
PARSERS = {"qnb": command_parser(), **{name: make() for name, make in MAGICS.items()}}
OF_CELLS = QnbMagics.magics["cell"].keys() | TuneMagics.magics["cell"].keys()


def texts(path: Path) -> Iterator[str]:
    """Yield what a person may read of a file: the texts of a program, the code of a page, the cells of a notebook."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(p.value) if isinstance(p, ast.Constant) else "X" for p in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
    elif path.suffix == ".md":
        yield from (code.replace("\n", "\n  ") for code in re.findall(r"```.*?```|`[^`\n]+`", source, re.S))
    elif path.suffix == ".ipynb":
        yield from ("".join(cell["source"]) for cell in json.loads(source)["cells"])
    else:
        yield source


def wrong_names(text: str) -> list[str]:
    """Return what of the magics, commands and options that `text` names is not there."""
    wrong = []
    for signs, name, rest in MAGIC.findall(text):
        if name not in MAGICS or (signs == "%%" and name not in OF_CELLS):
            wrong.append(signs + name)
        else:
            wrong += [f"{signs}{name} {option}" for option in _unknown(PARSERS[name], rest)]
    for name, rest in COMMAND.findall(text):
        parser = _commands(PARSERS["qnb"]).get(name)
        action = rest.split()[:1]
        if parser is None or (_commands(parser) and action and action[0] not in _commands(parser)):
            wrong.append(" ".join(["qnb", name, *action]))
        else:
            wrong += [f"qnb {name} {option}" for option in _unknown(parser, rest)]
    return wrong


def _unknown(parser: argparse.ArgumentParser, rest: str) -> list[str]:
    for word in rest.split():
        parser = _commands(parser).get(word, parser)
    known = {option for action in parser._actions for option in action.option_strings}
    return [option for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", rest) if option not in known]


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    return next((dict(a.choices) for a in parser._actions if isinstance(a, argparse._SubParsersAction)), {})


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_what_is_named_is_there(path: Path) -> None:
    named = (text for text in texts(path) if "qnb " in text or "%q" in text)
    assert [wrong for text in named for wrong in wrong_names(text)] == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("see %qlog?", ["%qlog"]),
        ("`%qstop --everything` ends them", ["%qstop --everything"]),
        ("write %%qshow", ["%%qshow"]),
        ("`qnb fix` or\n  qnb data mend --all", ["qnb fix", "qnb data mend"]),
        ("  qnb data check --al; qnb is more", ["qnb data --al"]),
        ("free some with: qnb data cache --clear", []),
        ("%%qtask lgb --wait, `qnb show X --log`", []),
    ],
)
def test_such_a_name_is_found(text: str, wrong: list[str]) -> None:
    assert wrong_names(text) == wrong
