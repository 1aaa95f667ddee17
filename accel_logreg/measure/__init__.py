"""What lesson, profile and doctor share: the clock, the machine, intervals, tables, pictures and pages."""
