"""Converts between bytes and values, for both clients and the server. No I/O."""
