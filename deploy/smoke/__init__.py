"""``make smoke``: the whole platform on free ports in a temporary folder, one story told over HTTP, and away again."""
