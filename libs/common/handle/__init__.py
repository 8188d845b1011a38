"""Handling: from an event to a committed result."""
