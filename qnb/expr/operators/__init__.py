"""Operators of the expression language, one family a file."""
