"""What a user's clips are like, and what was gained on clips like them."""
