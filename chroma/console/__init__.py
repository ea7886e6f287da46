"""The console: pages for browsers, served at /console/ by the server."""
