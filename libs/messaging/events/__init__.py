"""Every event, one module per topic. A class here is a contract: add optional fields, or define a new version."""
