"""The sender of voice messages, and the records of their calls."""
