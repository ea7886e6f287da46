"""Tables in, tables out, SQL."""
