"""Help while a workflow is written: what can stand at a place of the YAML, and what a word there means."""

from __future__ import annotations

from .complete import Completion, Surroundings, complete
from .explain import explain_at

__all__ = ["Completion", "Surroundings", "complete", "explain_at"]
