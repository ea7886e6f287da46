"""Exact distances between vectors, and projections of vectors."""
