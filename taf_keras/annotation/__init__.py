"""Labels for one's own videos: frames chosen for an annotation tool, and its exports read."""
