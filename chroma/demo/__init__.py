"""The main job from one command: `chroma demo`."""
