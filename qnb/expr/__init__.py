"""Factor expressions: language, plan and columnar evaluation."""
