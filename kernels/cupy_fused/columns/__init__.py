"""K columns in one read of dense X."""
