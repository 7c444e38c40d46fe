"""Pictures of the real application, for the README and for whoever changes the screen."""
