"""Files that are read and written: models, tables, pictures."""
