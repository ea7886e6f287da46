"""Similarity search, scans and sorting over a snapshot."""
