"""The HTTP server: `chroma run`. The same engine and checks as the embedded clients, as JSON."""
