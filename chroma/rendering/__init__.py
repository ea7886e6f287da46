"""Renders values and results as HTML and as short texts."""
