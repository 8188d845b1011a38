"""Outbound clients: AWS, other HTTP APIs, files, secrets, access tokens."""
