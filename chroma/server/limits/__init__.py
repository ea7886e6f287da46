"""Limits on the threads, memory, connections and time that one caller may take."""
