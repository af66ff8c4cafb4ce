"""Screening of captions: what is repaired, and the rules by which a response is rejected."""
