"""Evaluation sets: their settings, presets and readers, and the stage that indexes them."""
