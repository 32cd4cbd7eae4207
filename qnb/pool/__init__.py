"""Processes that run tasks and outlive the notebook that started them."""
