"""The seam: what the clients ask of whatever answers them."""
