"""Embedding functions of providers and of other libraries, one module each."""
