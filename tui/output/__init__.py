"""tui/output."""
