"""Embedding functions for providers and for other libraries, one module for each."""
