"""The write-ahead log and the frames in it."""
