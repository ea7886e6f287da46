"""Attacks: hostile bytes, failing calls to the system, costly requests, foreign pages.

Every attack is bounded and has a fixed seed. `make test` runs a small share of each, `make attack` all of it.
"""
