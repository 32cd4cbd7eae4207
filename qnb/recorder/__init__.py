"""Experiments and recorders: what is kept of a run, on MLflow or in memory."""
