"""The HTTP layer: the parser, the middleware, request bodies, responses, and cross-origin checks."""
