"""Small tools that have nothing to do with vectors."""
