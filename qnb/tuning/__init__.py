"""Honest hyperparameter search: spaces in the YAML, trials on long-lived workers, and how much of the best is luck."""
