"""For tests: a whole world in memory, a fault proxy, and what else makes faults happen on purpose."""
