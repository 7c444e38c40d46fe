"""tui/screen."""
