"""What everything else stands on: arrays in torch, random numbers from keys, sums of levels that are exact."""
