"""Import names of Chroma programs."""
