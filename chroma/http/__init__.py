"""What both HTTP backends share: connection settings, server info, batching, retries."""
