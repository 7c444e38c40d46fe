"""Pictures of the real application, for the README and for reviews of the screen."""
