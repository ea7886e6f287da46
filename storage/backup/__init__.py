"""Backups of a database folder: made, continued, restored."""
