"""Read and make Arrow arrays and files through their buffers."""
