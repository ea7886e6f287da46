"""The storage engine behind `chroma`. Not a public interface: import `chroma` instead."""
