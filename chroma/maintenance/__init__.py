"""Copies collections between databases, restores a database from a backup, and prunes backups."""
