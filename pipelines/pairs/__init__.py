"""Pairs: what each kind of dataset makes of items and texts, and the stages that follow on the pairs."""
