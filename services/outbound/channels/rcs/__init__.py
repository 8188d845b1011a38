"""The sender of RCS messages."""
