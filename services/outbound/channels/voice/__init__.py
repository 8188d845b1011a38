"""The sender of voice messages, and what became of each call."""
