"""Request bodies to checked values, and the schemas that describe them."""
