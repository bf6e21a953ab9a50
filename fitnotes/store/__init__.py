"""What lies on disk: files, their hashes, what was computed before; all written whole or not at all."""
