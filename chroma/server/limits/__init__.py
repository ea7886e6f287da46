"""How much of the server one caller may take: threads, bytes, connections, time."""
