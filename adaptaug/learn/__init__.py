"""Learning a policy: which operations and how strong, found by training."""
