"""The client of a vLLM engine on this machine, in a process of its own, with its supervisor and protocol."""
