"""Model clients: a vLLM engine in a process of its own, OpenAI-compatible endpoints, image loading, a result cache."""
