"""Renderers of the one topology: local stacks here and now, CDK for AWS."""
