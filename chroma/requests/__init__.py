"""The values that make up a request."""
