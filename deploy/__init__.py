"""Renderers of the topology: local stacks, and CDK for AWS."""
