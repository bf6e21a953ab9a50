"""A page as a deck of slides, in a browser or on paper."""
