"""What an author would want to know before a build: checks of the source and of the document, without running code."""
