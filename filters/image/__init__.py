"""Judging images: measures, quality, duplicates, scores of heads."""
