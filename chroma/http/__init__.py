"""Shared by both HTTP backends: connection settings, server info, batching, retries."""
