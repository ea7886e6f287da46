"""Inverted indexes: which rows have a term, with which value, and the best rows for a query of terms."""
