"""Checks of file contents before the engine uses them."""
