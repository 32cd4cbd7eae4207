"""Figures of the report, one a file: compute, then draw."""
