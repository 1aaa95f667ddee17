"""What owns memory or threads on the way to a GPU, and nothing that is a formula."""
