"""Backtest reports: data computed, then drawn with Plotly, then laid out as one HTML file."""
