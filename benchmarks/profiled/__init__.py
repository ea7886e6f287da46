"""What profile.py measures, a module per call."""
