"""Bytes to values and back, for clients and the server alike. No I/O."""
