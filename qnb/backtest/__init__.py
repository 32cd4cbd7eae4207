"""Simulation of a strategy on daily bars, in arrays."""
