"""The similarity index of a segment, and its file."""
