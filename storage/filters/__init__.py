"""Filters: the language, and which rows match."""
