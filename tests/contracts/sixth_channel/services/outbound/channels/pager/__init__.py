"""Pager messages, for the test that adds a sixth channel."""
