"""tui/client."""
