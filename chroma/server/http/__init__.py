"""HTTP itself: the parser, the middleware, request bodies, responses, pages of other origins."""
