"""Models behind one client: a vLLM engine in a process of its own, OpenAI-compatible endpoints, and what feeds them."""
