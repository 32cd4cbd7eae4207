"""qnb: quant research in notebooks.

Public names are loaded on first use, so that ``import qnb`` stays fast.
"""

from __future__ import annotations

__version__ = "0.1.0"
