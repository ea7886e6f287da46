"""Exact distances, and projections of vectors."""
