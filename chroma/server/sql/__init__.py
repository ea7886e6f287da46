"""Runs SQL statements, each in a separate process."""
