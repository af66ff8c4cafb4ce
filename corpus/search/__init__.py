"""Exact nearest-neighbour search, for duplicates, negatives and leaks alike."""
