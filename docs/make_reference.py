"""Writes docs/reference/*.md from the docstrings of every plug-in family; run by ``make docs``.

Everything is read from the source with `ast`, so the pages need no heavy library, and a test checks that they are
up to date.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import qnb
from qnb import registry

ROOT = Path(__file__).resolve().parent
FAMILIES = {
    "model": ("models", "Models"),
    "processor": ("processors", "Processors"),
    "operator": ("operators", "Operators of factor expressions"),
    "strategy": ("strategies", "Strategies"),
    "record": ("records", "Record templates"),
    "feature_set": ("feature_sets", "Feature sets"),
}
MODULES = {
    "python": ("Python interface", ["api.py", "handle.py", "waiting.py", "data/facade.py", "recorder/facade.py"]),
    "metrics": ("Metrics", ["metrics/*.py"]),
    "errors": ("Errors", ["errors.py"]),
}


def pages() -> dict[Path, str]:
    """Return the text of every page by its path."""
    found = {ROOT / "reference" / f"{file}.md": family_page(kind, title) for kind, (file, title) in FAMILIES.items()}
    package = Path(qnb.__file__).parent
    for file, (title, patterns) in MODULES.items():
        paths = [p for pattern in patterns for p in sorted(package.glob(pattern))]
        found[ROOT / "reference" / f"{file}.md"] = module_page(title, [p for p in paths if p.name != "__init__.py"])
    return found


def family_page(kind: str, title: str) -> str:
    """Return the page of one plug-in family: each member with its parameters and docstring."""
    parts = [f"# {title}\n\nGenerated from the docstrings by `make docs`.\n"]
    for member in registry.members(kind).values():
        short = f" (short key `{member.short}`)" if member.short else ""
        signature = ", ".join(_parameter(p) for p in registry.parameters(member))
        parts.append(f"## {member.name}\n\n`{member.dotted}`{short}\n")
        if signature:
            parts.append(f"```python\n{member.name}({signature})\n```\n")
        parts.append(f"```text\n{member.doc}\n```\n")
    return "\n".join(parts)


def module_page(title: str, paths: list[Path]) -> str:
    """Return a page with the public classes, functions and methods of `paths`."""
    parts = [f"# {title}\n\nGenerated from the docstrings by `make docs`.\n"]
    for path in paths:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        parts.append(
            f"## {path.relative_to(Path(qnb.__file__).parent.parent).as_posix()}\n\n{ast.get_docstring(tree)}\n"
        )
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                parts.append(_entry(node, 3))
                if isinstance(node, ast.ClassDef):
                    methods = [n for n in node.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("_")]
                    parts.extend(_entry(m, 4, owner=node.name) for m in methods)
    return "\n".join(parts)


def _entry(node: ast.FunctionDef | ast.ClassDef, level: int, owner: str = "") -> str:
    name = f"{owner}.{node.name}" if owner else node.name
    doc = ast.get_docstring(node) or ""
    signature = f"({ast.unparse(node.args)})" if isinstance(node, ast.FunctionDef) else ""
    return f"{'#' * level} {name}\n\n```text\n{name}{signature}\n\n{doc}\n```\n"


def _parameter(parameter: registry.Parameter) -> str:
    if parameter.variadic:
        return ("**" if parameter.keyword else "*") + parameter.name
    return f"{parameter.name}={parameter.default}" if parameter.default else parameter.name


def main() -> int:
    """Write the pages; with ``--check`` only say which are out of date."""
    stale = [path for path, text in pages().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"out of date: {path}; run `make docs`")
        return int(bool(stale))
    (ROOT / "reference").mkdir(exist_ok=True)
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    print(f"{len(stale)} pages changed in {ROOT / 'reference'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
