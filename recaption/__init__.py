"""Captioning: the captioner's backends, prompts, screening of what came back."""
