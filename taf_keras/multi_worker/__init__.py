"""Several machines or replicas: who they are, how they meet, what they share."""
