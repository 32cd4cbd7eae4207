"""From files of other formats to the market data store."""

from __future__ import annotations

from .market import import_market
from .report import BadFile, ImportReport

__all__ = ["BadFile", "ImportReport", "import_market"]
