"""The demo that `chroma demo` runs."""
