"""The control API under /control."""
