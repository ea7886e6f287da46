"""What files hold is checked before anything uses it."""
