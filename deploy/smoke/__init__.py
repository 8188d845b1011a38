"""``make smoke``: runs the platform on free ports in a temporary directory, and one scenario over HTTP."""
