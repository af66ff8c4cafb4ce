"""A model in this machine's memory: a vLLM engine in a process of its own."""
