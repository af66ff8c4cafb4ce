"""Judging how well texts fit their pictures, by a CLIP."""
