"""gapless/viewing."""
