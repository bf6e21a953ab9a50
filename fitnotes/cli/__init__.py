"""The command line. Nothing heavy is imported here."""
