"""Small tools that are not specific to vectors."""
