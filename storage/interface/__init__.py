"""All that code outside chroma/embedded may import of the engine."""
