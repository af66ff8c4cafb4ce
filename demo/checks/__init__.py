"""Compares what a run made of the demo's world with the planted truth."""
