"""The HTTP server behind `chroma run`. It offers the engine and the checks of embedded clients over HTTP."""
