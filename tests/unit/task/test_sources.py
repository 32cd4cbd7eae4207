"""Signatures read from sources, and values against annotations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qnb.task.catalogue import KINDS, locate, names
from qnb.task.sources import find_module_file, signature_of, signature_of_member
from qnb.task.types import misfit


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "pack"
    folder.mkdir()
    (folder / "__init__.py").write_text("from .child import Child as Exported\n")
    (folder / "base.py").write_text(
        "class Base:\n    '''Doc of the base.'''\n    def __init__(self, a: int, *, b: str = 'x'):\n        pass\n"
        "class Mixin:\n    pass\n"
    )
    (folder / "child.py").write_text(
        "from dataclasses import dataclass\nfrom typing import ClassVar\nimport torch\n"
        "from .base import Base, Mixin\n\n"
        "class Child(Mixin, Base):\n"
        "    def __init__(self, c: float = 1.0, **kwargs):\n        super().__init__(**kwargs)\n\n"
        "class Same(Base):\n    pass\n\n"
        "@dataclass(frozen=True)\nclass Data:\n    x: int\n    y: float = 2.0\n    z: ClassVar[int] = 3\n\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self, w: int, **kwargs):\n        super().__init__()\n\n"
        "def make(n: int = 3, **rest):\n    return n\n\n"
        "Alias = make\n"
    )
    return folder


def test_inherited_arguments(package: Path) -> None:
    child = signature_of(package / "child.py", "Child")
    assert child is not None
    assert (child.names, child.open) == (("c", "a", "b"), False)
    assert [p.required for p in child.parameters] == [False, True, False]
    same = signature_of(package / "child.py", "Same")
    assert same is not None
    assert (same.names, same.doc) == (("a", "b"), "Doc of the base.")


def test_dataclasses_functions_and_what_cannot_be_read(package: Path) -> None:
    file = package / "child.py"
    data, net, make, other = (signature_of(file, n) for n in ("Data", "Net", "make", "Alias"))
    assert data is not None
    assert data.names == ("x", "y")
    assert net is not None
    assert net.open
    assert make is not None
    assert (make.names, make.open) == (("n",), True)
    assert other is not None
    assert other.open
    assert signature_of(file, "Nothing") is None
    exported = signature_of(package / "__init__.py", "Exported")
    assert exported is not None
    assert exported.names == ("c", "a", "b")


def test_modules_are_found_without_import(package: Path) -> None:
    assert find_module_file("pack.child", (str(package.parent),)) == package / "child.py"
    assert find_module_file("pack", (str(package.parent),)) == package / "__init__.py"
    assert find_module_file("pack.none", (str(package.parent),)) is None


def test_every_component_of_ours_has_a_signature() -> None:
    for kind in KINDS:
        for name in names(kind):
            member = locate(kind, name)
            signature = signature_of_member(member)
            assert all(p.name.isidentifier() for p in signature.parameters), member.dotted


@pytest.mark.parametrize(
    ("annotation", "value", "wanted"),
    [
        ("int", 3, ""), ("int", True, "a whole number"), ("int", "3", "a whole number"), ("int", 3.5, "a whole number"),
        ("float", 3, ""), ("float", "x", "a number"), ("bool", 1, "true or false"), ("bool", "yes", "true or false"),
        ("str", 1, "text"), ("str", "<PRED>", ""), ("int", "<a.b>", ""), ("int | None", None, ""), ("int", None, ""),
        ("Optional[float]", "x", "a number"), ("Union[int, str]", [], "a whole number or text"),
        ("list[int]", 3, "a list"), ("Sequence[str]", ["a"], ""), ("Mapping[str, Any]", [], "a mapping"),
        ("Literal['a', 'b']", "a", ""), ("Literal['a', 'b']", "c", "one of 'a', 'b'"),
        ("Any", object, ""), ("Path | str", 3, ""), ("SomeAlias", 3, ""), ("", 3, ""), ("int[", "x", ""),
    ],
)  # fmt: skip
def test_values_against_annotations(annotation: str, value: Any, wanted: str) -> None:
    found = misfit(annotation, value)
    assert (found.wanted if found else "") == wanted


@pytest.mark.parametrize(
    ("annotation", "value", "remedy"),
    [
        ("int", "3", "remove the quotation marks"),
        ("bool", "on", "write true"),
        ("int", 3.0, "write 3"),
        ("str", 3, "put it in"),
    ],
)
def test_remedies(annotation: str, value: Any, remedy: str) -> None:
    found = misfit(annotation, value)
    assert found is not None
    assert remedy in found.remedy
