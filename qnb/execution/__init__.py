"""Builds and executes a task in a worker."""
