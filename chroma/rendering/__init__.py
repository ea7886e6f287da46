"""Values and results as HTML and as short texts."""
