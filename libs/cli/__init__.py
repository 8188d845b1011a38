"""``wecare``: the command line of the platform. It uses only the HTTP API."""
