"""Machine code of the kernels does what their Python does, is kept, and is run without numba."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qnb.expr import kernels, native
from qnb.expr.kernels import KERNELS

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


@pytest.mark.parametrize("name", [k for k in KERNELS if k != "scatter"])
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


@pytest.mark.parametrize("count", [1, 2, 41])
def test_scatter_puts_columns_into_rows(count: int) -> None:
    rng = np.random.default_rng(0)
    src = rng.normal(size=(21, 50)).astype(np.float32)
    columns = np.array([*range(21), 3, 3], dtype=np.int64)
    places = np.array([-1, 7, *range(10, 49), -1], dtype=np.int64)[:count]
    targets = rng.permutation(len(places)).astype(np.int64)
    out = np.zeros((len(places), len(columns)), np.float32)
    native.kernel("scatter")(
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
    scope = {"NAN": np.nan, "INF": np.inf, "float64": np.float64, "sqrt": np.sqrt, "float": np.float64}
    scope["inlined"] = lambda function: function
    for file in ("windows", name):
        tree = ast.parse(Path(kernels.__file__).with_name(f"{file}.py").read_text())
        tree.body = [n for n in tree.body if _defines(n, name)]
        exec(compile(ast.fix_missing_locations(_NumpyNumbers().visit(tree)), name, "exec"), scope)
    return scope[name]  # type: ignore[return-value]


def _defines(node: ast.stmt, name: str) -> bool:
    if isinstance(node, ast.Assign):
        return ast.unparse(node.targets[0]) == name
    return isinstance(node, ast.FunctionDef) and node.name != "inlined"


def _callable(name: str) -> Callable[..., None]:
    compiled = native.kernel(name)

    def call(*args: Any) -> None:
        compiled(*(a.ctypes.data if isinstance(a, np.ndarray) else a for a in args))

    return call


def test_kept_code_runs_where_numba_is_not_loaded(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom qnb.expr import native\nfor name in native.KERNELS: native.kernel(name)\n"
        "print('numba' in sys.modules)"
    )
    env = {**os.environ, "QNB_KERNEL_DIR": str(tmp_path)}
    told = [subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True) for _ in range(2)]
    assert [(p.stdout, p.stderr) for p in told] == [("True\n", ""), ("False\n", "")]


def test_code_is_kept_and_a_broken_file_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("QNB_KERNEL_DIR", str(tmp_path / "kernels"))
    monkeypatch.setattr(native, "_loaded", {})
    compiled = []
    original = native.compile_kernel
    monkeypatch.setattr(native, "compile_kernel", lambda name: compiled.append(1) or original(name))

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
    original = native.compile_kernel
    monkeypatch.setattr(native, "compile_kernel", lambda name: compiled.append(1) or original(name))

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
