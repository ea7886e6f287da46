"""Notebook displays other than results: clients, collections, `describe`, `plot`."""
