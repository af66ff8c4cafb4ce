"""Judging items: what is in an image, whether it is good enough, whether it was seen before."""
