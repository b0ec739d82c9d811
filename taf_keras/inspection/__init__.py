"""Would training start with these files? What is in them, and what is wrong."""
