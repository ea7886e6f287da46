"""Checks user input in all accepted forms. The functions have no side effects."""
