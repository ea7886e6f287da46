"""What breakdown.py measures, a module per call."""
