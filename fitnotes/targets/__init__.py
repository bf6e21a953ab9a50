"""Writers: each makes files of one format out of a page."""
