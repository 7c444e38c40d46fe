"""Tools that build and check a release; not part of the installed package."""
