"""Backtests of a finished run with other settings, on the predictions that it kept."""

from __future__ import annotations

from .engine import Knobs, Outcome, WhatIf
from .source import what_if_of

__all__ = ["Knobs", "Outcome", "WhatIf", "what_if_of"]
