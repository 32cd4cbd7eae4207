"""Published feature sets as declarations."""
