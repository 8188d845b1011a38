"""What a service says of itself, and what is derived from it."""
