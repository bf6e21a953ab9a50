"""Which notes, in which order, what is up to date, and what the user is told."""
