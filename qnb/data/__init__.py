"""Market data: stores, universes, handlers, processors and datasets."""
