"""What HTML pages have in common: their colours, and templates that escape."""
