"""Whether this package answers the name `chromadb` in this process. Its callers were then written for it."""

taken = False  # set by `chroma.compat.install`
