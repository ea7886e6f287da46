"""One module per workload, each with `run(system, task)`; each runs in a process of its own."""
