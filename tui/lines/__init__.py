"""tui/lines."""
