"""Compares the results of a run over the demo's world with the planted truth."""
