"""Holding a corpus against evaluation sets: what they have of it is removed."""
