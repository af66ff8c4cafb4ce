"""Builds the demo's sets of pairs, one of every kind, and their truth."""
