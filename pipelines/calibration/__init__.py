"""Calibration: what each threshold keeps and removes, drawn from the tables that a workspace has."""
