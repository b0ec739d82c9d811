"""Many runs: arms, seeds, what is planned, trained, and compared."""
