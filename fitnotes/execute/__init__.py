"""Running a note's blocks: what is stale (`plan`), stored results (`cache`), one process a session
(`sessions`), and what happens inside that process (`worker`, `capture`, `inputs`, `preload`)."""
