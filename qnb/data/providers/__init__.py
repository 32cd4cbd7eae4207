"""Market data stores, one format a file."""
