"""Forecasting models, one a file."""
