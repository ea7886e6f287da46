"""The code that the two collection classes share: the handle and the configuration."""
