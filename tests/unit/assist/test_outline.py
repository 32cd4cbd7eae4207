"""Where a cursor stands in a text that is not finished."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnb.assist.outline import outline, spot_at


def _spot(text: str) -> tuple[object, ...]:
    at = text.index("|")
    found = spot_at(text.replace("|", "", 1), at)
    return found.path, found.is_key, found.key, found.typed


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("mod|", ((), True, None, "mod")),
        ("model: LG|", ((), False, "model", "LG")),
        ("model:\n  class: LG|", (("model",), False, "class", "LG")),
        ("model:\n  |", (("model",), True, None, "")),
        ("a:\n  b: 1\n|", ((), True, None, "")),
        ("model: {class: A, kwargs: {num_|", (("model", "kwargs"), True, None, "num_")),
        ("model: {class: A, kwargs: {lr: 1, num_|}}", (("model", "kwargs"), True, None, "num_")),
        ("model: {\n  class: A,\n  kwargs: {x: |", (("model", "kwargs"), False, "x", "")),
        ("record:\n- class: A\n  kwargs:\n    x: |", (("record", 0, "kwargs"), False, "x", "")),
        ("record:\n  - class: A\n  - cl|", (("record", 1), True, None, "cl")),
        ("features: [$close, $o|", (("features",), False, 1, "$o")),
        ("features: [Mean($close, 5), $o|", (("features",), False, 1, "$o")),
        ('label: "Ref($cl|', ((), False, "label", '"Ref($cl')),
        ("a: &x\n  b: |", (("a",), False, "b", "")),
        ("segments:\n  train: [2010-01-01, |", (("segments", "train"), False, 1, "")),
    ],
)
def test_spots(text: str, wanted: tuple[object, ...]) -> None:
    assert _spot(text) == wanted


def test_an_outline_has_what_is_written_so_far() -> None:
    root = outline("model: {class: A, kwargs: {n: 3}}\nrecord:\n- class: B\n- C\nopen: {x: [1, 2\n")
    assert root.at(("model", "class")).text == "A"  # type: ignore[union-attr]
    assert root.at(("model", "kwargs", "n")).text == "3"  # type: ignore[union-attr]
    assert root.at(("record", 0, "class")).text == "B"  # type: ignore[union-attr]
    assert root.at(("record", 1)).text == "C"  # type: ignore[union-attr]
    assert root.at(("nothing", 3)) is None


@given(st.text(alphabet="ab:{}[]-, \n\"'$(#&*|>", max_size=60), st.integers(0, 60))
def test_no_text_is_too_broken(text: str, at: int) -> None:
    offset = min(at, len(text))
    outline(text)
    assert text[:offset].endswith(spot_at(text, offset).typed)
