"""Ready-made handlers, one feature set a file."""
