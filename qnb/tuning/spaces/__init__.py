"""Named search spaces, one subject a file; found by class name through the registry."""
