"""Records: what is computed from a fitted model and kept by the recorder."""
