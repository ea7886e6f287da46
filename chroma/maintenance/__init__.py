"""Copies collections between databases, and restores a database from a backup."""
