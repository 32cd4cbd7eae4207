"""Processors of handlers, one a file."""
