"""The send pipeline, the same for every channel."""
