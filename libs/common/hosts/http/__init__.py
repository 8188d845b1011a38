"""The HTTP host: routes, problem documents, request bodies."""
