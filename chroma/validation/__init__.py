"""Any accepted input to checked values. Pure."""
