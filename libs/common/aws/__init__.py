"""Every way out of the process: AWS clients, other HTTP APIs, files, secrets, access tokens."""
