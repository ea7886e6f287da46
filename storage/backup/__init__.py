"""Make, update and restore backups of a database folder."""
