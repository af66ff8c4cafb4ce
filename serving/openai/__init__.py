"""Models that run elsewhere, behind endpoints that speak OpenAI's chat protocol."""
