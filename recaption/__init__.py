"""Captioning by vision-language models: stages, prompts, clients, screening of captions."""
