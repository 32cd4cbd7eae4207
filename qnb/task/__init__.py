"""From the text of a workflow to a frozen, JSON-able Task."""
