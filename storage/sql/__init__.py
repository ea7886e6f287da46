"""Read-only SQL over tables that are looked up when a statement names them."""
