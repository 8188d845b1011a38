"""A bulk job on a stack of its own, with a progress bar and its bill in requests: ``make demo-bulk``."""
