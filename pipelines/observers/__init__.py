"""Observers of a run: metrics for monitoring systems, and what other packages add by an entry point."""
