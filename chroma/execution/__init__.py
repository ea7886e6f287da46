"""Import paths for programs written for Chroma; see `expression`."""
