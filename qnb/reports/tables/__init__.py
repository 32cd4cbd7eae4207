"""Tables of the report, one a file: compute, then lay out."""
