"""Clients, collections and HTTP backends. scripts/twins.py makes the form for threads from that for event
loops."""
