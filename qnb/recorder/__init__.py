"""Experiments and recorders: what is kept of a run, on MLflow or in memory."""

from .facade import R

__all__ = ["R"]
