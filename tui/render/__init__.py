"""tui/render."""
