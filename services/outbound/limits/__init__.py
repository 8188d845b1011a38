"""What slows or stops sends: rates, circuit breaker, budgets, caps, quiet hours."""
