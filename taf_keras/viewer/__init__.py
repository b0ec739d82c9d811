"""The predictions of a run as a page to look at."""
