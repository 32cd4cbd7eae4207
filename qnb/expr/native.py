"""Machine code of the kernels: made once, kept in the cache folder, called through C pointers.

1. A kernel's object code is looked for under a digest of the kernels' source, this processor and the versions of numba
   and LLVM.
2. Where it is missing, numba compiles the kernel, and the code is kept: written to a hidden file first and renamed, so
   that several processes may do so at once. Only then is numba loaded; numba's own cache would want it in every process
   (0.2 s), and is made of pickles. Measured: 4.3 s of CPU once for what Alpha158 needs, 0.3 s of them to load numba; a
   translator of our own, for the part of Python that kernels use, took 0.6 s and 384 lines. Kernels were as fast, and
   results the same to the bit (`tests/benchmarks/bench_features.py --compile`).
3. Code that another user could have written is never run: a folder of somebody else's is left for one of the user's
   own, a file of somebody else's is made again.
4. A folder that cannot be written costs the time to compile, nothing else.

Calls release Python's lock, so threads run side by side. Nothing in a kernel raises, so its code runs without numba.
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
import importlib.metadata
import logging
import os
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from ..config import default_cache_dir
from ..private import strangers_hold
from . import kernels
from .kernels import KERNELS, source_of

__all__ = ["compile_kernel", "kernel", "kernel_dir"]

_LOG = logging.getLogger(__name__)
_FORMAT = 2

_told: set[str] = set()
_loaded: dict[str, Callable[..., None]] = {}
_lock = threading.Lock()
_engine: Any = None


def kernel(name: str) -> Callable[..., None]:
    """Return a kernel as a C function that takes addresses and whole numbers.

    The function keeps nothing alive: its caller holds the arrays whose addresses it passes.
    """
    found = _loaded.get(name)
    if found is None:
        with _lock:
            found = _loaded.get(name) or _loaded.setdefault(name, _load(name))
    return found


def kernel_dir() -> Path:
    """Return the folder in which object code is kept: ``QNB_KERNEL_DIR``, else ``kernels`` in the cache folder.

    Where that is another user's, it is ``~/.cache/qnb/kernels``.
    """
    given = os.environ.get("QNB_KERNEL_DIR")
    folder = Path(given).expanduser() if given else default_cache_dir() / "kernels"
    reason = _strangers(folder)
    if not reason:
        return folder
    own = Path.home() / ".cache" / "qnb" / "kernels"
    if str(folder) not in _told:
        _told.add(str(folder))
        _LOG.warning("compiled kernels in %s are not used, since it %s; they are made again in %s", folder, reason, own)
    return own


def _strangers(folder: Path) -> str:
    """Return why others may have put files into `folder`; '' where only the user can, from now on if need be."""
    try:
        status = folder.stat()
        if hasattr(os, "getuid") and status.st_uid == os.getuid() and strangers_hold(status):
            folder.chmod(0o700)
            status = folder.stat()
    except OSError:  # it is not there yet
        return ""
    return strangers_hold(status)


def compile_kernel(name: str) -> bytes:
    """Return the object code of a kernel for this processor, which defines a C function of the kernel's name."""
    import llvmlite.binding as llvm
    from numba import cfunc, types

    from .kernels.windows import OPTIONS

    kinds = {
        "d": types.CPointer(types.float64), "f": types.CPointer(types.float32), "q": types.CPointer(types.int64),
        "n": types.int64,
    }  # fmt: skip
    collecting = gc.isenabled()
    gc.disable()  # a tenth of the time, for nothing: what numba builds lives until it is done
    try:
        made = cfunc(types.void(*[kinds[kind] for kind in KERNELS[name]]), **OPTIONS)(source_of(name))
    finally:
        if collecting:
            gc.enable()
    module = llvm.parse_assembly(made.inspect_llvm())
    module.get_function(made.native_name).name = name
    return _machine().emit_object(module)


def _load(name: str) -> Callable[..., None]:
    import llvmlite.binding as llvm

    path = kernel_dir() / f"{name}-{_state()}.o"
    code = _read(path)
    if code is None:
        code = compile_kernel(name)
        _keep(path, code)
    engine = _linker(llvm)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    kinds = [ctypes.c_int64 if kind == "n" else ctypes.c_void_p for kind in KERNELS[name]]
    return ctypes.CFUNCTYPE(None, *kinds)(engine.get_function_address(name))


@cache
def _state() -> str:
    """Return a digest of what object code depends on."""
    import llvmlite.binding as llvm

    told = f"{_FORMAT} {llvm.get_process_triple()} {llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}"
    versions = " ".join(importlib.metadata.version(p) for p in ("numba", "llvmlite"))
    digest = hashlib.blake2b(f"{told} {versions}".encode(), digest_size=12)
    for path in sorted(Path(kernels.__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _machine() -> Any:
    """Return the description of this processor to LLVM."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=3,
        reloc="default",
        codemodel="jitdefault",
        jit=True,
    )


def _linker(llvm: Any) -> Any:
    """Return the engine that holds the code for the life of the process."""
    global _engine
    if _engine is None:
        _engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine())
    return _engine


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            reason, data = strangers_hold(os.fstat(file.fileno())), file.read()
    except OSError:
        return None
    if reason:
        _LOG.warning("compiled kernel %s %s and is made again", path, reason)
        return None
    check, code = data[:16], data[16:]
    if hashlib.blake2b(code, digest_size=16).digest() == check:
        return code
    _LOG.warning("compiled kernel %s is corrupted and is made again", path)
    return None


def _keep(path: Path, code: bytes) -> None:
    hidden = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        hidden.touch(mode=0o600)
        hidden.write_bytes(hashlib.blake2b(code, digest_size=16).digest() + code)
        os.replace(hidden, path)
    except OSError as error:
        _LOG.warning("compiled kernels cannot be kept in %s (%s) and are compiled at each start", path.parent, error)
        with suppress(OSError):
            hidden.unlink()
