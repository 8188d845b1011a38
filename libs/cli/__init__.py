"""``wecare``: the platform from a terminal, over its HTTP API and nothing else."""
