"""The run graph: the tasks of all stages over all shards of a run, and what each waits for."""
