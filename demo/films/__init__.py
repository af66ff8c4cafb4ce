"""Builds the demo's films: shots, frame numbers, files and annotations."""
