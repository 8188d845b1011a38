"""From an event to a committed result."""
