"""The networks of the torch models: plain modules, imported when a model is built."""
