"""Clips as mp4 files: copied packet by packet or encoded, with their audio."""
