"""Moving in: what a folder or a server of Chroma holds, into a folder or onto a server of this package."""
