"""Trains the test VLM."""
