"""Parses request bodies to checked values, and holds the schemas that describe them."""
