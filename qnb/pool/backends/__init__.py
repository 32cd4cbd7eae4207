"""Ways to run a task, one a file."""
