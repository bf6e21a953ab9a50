"""The tree of a note, and the only place that starts pandoc."""
