"""Every event, one module per topic. A class here is a promise: add optional fields, or make a new version."""
