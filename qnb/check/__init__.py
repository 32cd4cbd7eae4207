"""Semantic checks of a task before any data is loaded."""
