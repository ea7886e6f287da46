"""The only part of the engine that code outside chroma/embedded may import."""
