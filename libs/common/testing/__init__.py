"""For tests: the platform in memory, a fault proxy, and further fault injection."""
