"""The client of OpenAI-compatible endpoints, which serve a model elsewhere."""
