"""What is known of a maximum likelihood estimate: standard errors, tests, intervals, and their table."""
