"""Read-only SQL over tables that are found when a statement names them."""
