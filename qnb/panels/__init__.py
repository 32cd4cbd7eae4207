"""Views of runs in a notebook: a fold over events, then a widget."""
