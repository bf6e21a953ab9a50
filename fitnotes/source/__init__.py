"""The text of a note as frozen records: blocks with their options and lines."""
