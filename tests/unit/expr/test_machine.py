"""The translator: machine code does what the kernel's Python does, and nothing else is translated."""

from __future__ import annotations

import ast
import ctypes
import inspect
import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qnb.expr import machine, native
from qnb.expr.kernels import KERNELS, source_of
from qnb.expr.kernels.types import F8, I8

FLAGS = {
    "sums": [1, 2, 3],
    "moments": [1, 2, 3],
    "linear": [1, 2, 4, 7, 15],
    "extremes": [1, 2, 3, 7],
    "order": [0, 1],
    "pairs": [1, 2, 3, 7],
    "shape": [1, 2, 4, 8, 16, 32, 63],
    "decay": [1],
}


def ragged(seed: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    lengths = np.array([1, 40, 3, 0, 25])
    stops = np.cumsum(lengths)
    starts = stops - lengths
    x, y = rng.normal(0, 1, stops[-1]), rng.normal(5, 2, stops[-1])
    x[rng.random(len(x)) < 0.15] = np.nan
    x[rng.random(len(x)) < 0.05] = np.inf
    y[rng.random(len(y)) < 0.1] = np.nan
    x[10:20] = 0.3
    return x, y, starts.astype(np.int64), stops.astype(np.int64), rng.integers(0, 50, len(lengths))


@pytest.mark.parametrize("name", [k for k in KERNELS if "scatter" not in k])
@pytest.mark.parametrize("n", [0, 1, 2, 5, 30])
def test_machine_code_does_what_the_python_does(name: str, n: int) -> None:
    x, y, starts, stops, days = ragged(n + 1)
    for flags in FLAGS[name]:
        results = []
        for function in (_as_python(name), _callable(name)):
            out = np.full((8, len(x)), 77.0)
            work = np.zeros(8 * 64)
            if name == "order":
                work[:4] = [3, 0.2, -1.0, 1.0]
            if name == "decay":
                work[0] = 0.3
            with np.errstate(all="ignore"):
                function(x, y, starts, stops, days, len(starts), n, flags, out.ravel(), len(x), work)
            results.append(out)
        np.testing.assert_allclose(results[1], results[0], rtol=1e-9, atol=1e-12, err_msg=f"{name} {flags}")


@pytest.mark.parametrize("name", ["scatter", "scatter_wide"])
@pytest.mark.parametrize("count", [1, 2, 41, 42])
def test_scatter_puts_columns_into_rows(name: str, count: int) -> None:
    rng = np.random.default_rng(0)
    src = rng.normal(size=(21, 50)).astype(np.float32)
    columns = np.array([*range(21), 3, 3], dtype=np.int64)
    places = np.array([-1, 7, *range(10, 49), -1], dtype=np.int64)[:count]
    targets = rng.permutation(len(places)).astype(np.int64)
    out = np.zeros((len(places), len(columns)), np.float32)
    native.kernel(name)(
        src.ctypes.data, 50, columns.ctypes.data, len(columns), places.ctypes.data, targets.ctypes.data, len(places),
        out.ctypes.data, len(columns),
    )  # fmt: skip
    expected = np.where(places[:, None] < 0, np.nan, src[columns][:, places].T)
    np.testing.assert_array_equal(out[targets], expected.astype(np.float32))


class _NumpyNumbers(ast.NodeTransformer):
    """Python refuses to divide by zero; numpy's numbers, like the processor, do not."""

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if type(node.value) is float:
            return ast.Call(ast.Name("float64", ast.Load()), [node], [])
        return node


def _as_python(name: str) -> Callable[..., None]:
    """Return the kernel as Python runs it, with numpy's division and square root."""
    function = source_of(name)
    tree = _NumpyNumbers().visit(ast.parse(textwrap.dedent(inspect.getsource(function))))
    tree.body[0].returns = None
    for argument in tree.body[0].args.args:
        argument.annotation = None
    scope = {"NAN": np.nan, "INF": np.inf, "float64": np.float64, "sqrt": np.sqrt, "float": np.float64}
    exec(compile(ast.fix_missing_locations(tree), name, "exec"), scope)
    return scope[name]  # type: ignore[return-value]


def _callable(name: str) -> Callable[..., None]:
    compiled = native.kernel(name)

    def call(*args: Any) -> None:
        compiled(*(a.ctypes.data if isinstance(a, np.ndarray) else a for a in args))

    return call


def signs(x: F8, n: int, out: F8, marks: I8) -> None:
    """Exercise what the kernels use."""
    k = 0
    while k < n and (x[k] > 0.0 or not x[k] > -5.0):
        k += 1
    out[0] = float(k)
    first = x[0]
    out[1] = -first if n > 1 and True else NAN
    total = 0
    for i in range(n - 1, -1, -2):
        total += int(x[i]) // 2 - i % 3
        if i == 3:
            total += 100
        elif total != 5:
            total = total + 1
    out[2] = float(total) / 4
    out[3] = float(marks[1] & 6)


NAN = float("nan")


def test_every_construct_means_what_python_means() -> None:
    x = np.array([1.5, 9.0, -7.0, 4.9, -2.0, 8.0, 3.0])
    marks = np.array([0, 11], dtype=np.int64)
    expected = np.zeros(4)
    signs(np.abs(x), 7, expected, marks)
    code = machine.compile_object(machine.translate(signs))
    import llvmlite.binding as llvm

    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine.host_machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    kinds = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p]
    found = np.zeros(4)
    call = ctypes.CFUNCTYPE(None, *kinds)(engine.get_function_address("signs"))
    call(np.abs(x).ctypes.data, 7, found.ctypes.data, marks.ctypes.data)
    np.testing.assert_array_equal(found, expected)


def breaks(x: F8, n: int) -> None:
    for _i in range(n):
        break


def calls(x: F8, n: int) -> None:
    x[0] = max(x[0], 1.0)


def changes(x: F8, n: int) -> None:
    a = 1
    a = 2.0
    x[0] = a


def chooses(x: F8, n: int) -> None:
    x[0] = x[n] if n > 0 else 0.0


def chains(x: F8, n: int) -> None:
    x[0] = 1.0 if 0 < n < 5 else 2.0


def indexes(x: F8, n: int) -> None:
    x[0.5] = 1.0


def unknown(x: F8, n: int) -> None:
    x[0] = elsewhere  # noqa: F821


def annotated(x: float) -> None:
    pass


@pytest.mark.parametrize("function", [breaks, calls, changes, chooses, chains, indexes, unknown, annotated])
def test_anything_else_is_refused_with_its_line(function: Callable[..., None]) -> None:
    with pytest.raises(TypeError, match=function.__name__):
        machine.translate(function)


def test_code_is_kept_and_a_broken_file_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("QNB_KERNEL_DIR", str(tmp_path / "kernels"))
    monkeypatch.setattr(native, "_loaded", {})
    compiled = []
    original = machine.compile_object
    monkeypatch.setattr(machine, "compile_object", lambda text: compiled.append(1) or original(text))

    def load() -> None:
        monkeypatch.setattr(native, "_loaded", {})
        monkeypatch.setattr(native, "_engine", None)
        native.kernel("decay")

    load()
    load()
    (kept,) = (tmp_path / "kernels").glob("*.o")
    assert len(compiled) == 1
    kept.write_bytes(kept.read_bytes()[:-10] + b"garbage!!!")
    load()
    assert len(compiled) == 2
    assert "corrupted" in caplog.text
    assert not [p for p in (tmp_path / "kernels").iterdir() if p.name.startswith(".")]


def test_a_folder_that_cannot_be_written_costs_time_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("QNB_KERNEL_DIR", str(blocked / "kernels"))
    monkeypatch.setattr(native, "_loaded", {})
    monkeypatch.setattr(native, "_engine", None)
    assert callable(native.kernel("decay"))
    assert "compiled at each start" in caplog.text


def test_code_that_others_could_have_written_is_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "kernels"
    monkeypatch.setenv("QNB_KERNEL_DIR", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    compiled = []
    original = machine.compile_object
    monkeypatch.setattr(machine, "compile_object", lambda text: compiled.append(1) or original(text))

    def compilations() -> int:
        compiled.clear()
        caplog.clear()
        monkeypatch.setattr(native, "_loaded", {})
        monkeypatch.setattr(native, "_engine", None)
        native.kernel("decay")
        return len(compiled)

    assert (compilations(), compilations()) == (1, 0)
    (kept,) = folder.glob("*.o")
    assert (folder.stat().st_mode & 0o777, kept.stat().st_mode & 0o777) == (0o700, 0o600)
    folder.chmod(0o777)
    kept.chmod(0o666)
    assert compilations() == 1
    assert "can be written by others and is made again" in caplog.text
    assert (folder.stat().st_mode & 0o777, kept.stat().st_mode & 0o777) == (0o700, 0o600)
    assert compilations() == 0
    if os.getuid() != 0:
        return
    os.chown(kept, 12345, -1)
    assert compilations() == 1
    assert "belongs to another user and is made again" in caplog.text
    os.chown(folder, 12345, -1)
    assert compilations() == 1
    assert (
        f"are not used, since it belongs to another user; they are made again in {tmp_path}/home/.cache" in caplog.text
    )
    assert compilations() == 0
    assert list((tmp_path / "home" / ".cache" / "qnb" / "kernels").glob("*.o"))
