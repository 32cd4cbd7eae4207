"""qnb: quant research in notebooks.

Public names are loaded on first use, so that ``import qnb`` stays fast.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import init, run, wait
    from .data.facade import D
    from .errors import QnbError
    from .handle import RunHandle
    from .magics import load_ipython_extension, unload_ipython_extension
    from .notebook import compare, runs, what_if
    from .recorder import R
    from .tuning.api import tune

__version__ = "0.1.0"

if not os.environ.keys() & {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}:
    # How often a thread of LightGBM or torch looks whether the others are ready before it sleeps. With libgomp's own
    # 300,000 the threads of a busy machine mostly keep each other from becoming so. Read when the library is loaded.
    os.environ["GOMP_SPINCOUNT"] = "1000"

__all__ = [
    "D",
    "QnbError",
    "R",
    "RunHandle",
    "__version__",
    "compare",
    "init",
    "load_ipython_extension",
    "run",
    "runs",
    "tune",
    "unload_ipython_extension",
    "wait",
    "what_if",
]

_HOMES = {
    "D": "qnb.data.facade",
    "QnbError": "qnb.errors",
    "R": "qnb.recorder",
    "RunHandle": "qnb.handle",
    "compare": "qnb.notebook",
    "init": "qnb.api",
    "load_ipython_extension": "qnb.magics",
    "run": "qnb.api",
    "runs": "qnb.notebook",
    "tune": "qnb.tuning.api",
    "unload_ipython_extension": "qnb.magics",
    "wait": "qnb.api",
    "what_if": "qnb.notebook",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'qnb' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
