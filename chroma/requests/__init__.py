"""The values that a request is made of."""
