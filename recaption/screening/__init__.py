"""Screening of captions: repairs of what is harmless, and the rules by which a response is rejected."""
