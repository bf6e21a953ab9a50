"""From results to page: one step over the tree each."""
