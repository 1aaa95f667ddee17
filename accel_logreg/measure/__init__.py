"""What lesson, profile and doctor share: the clock, the machine, tables, the parts of a page."""
