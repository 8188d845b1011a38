"""The same topology for AWS: CDK stacks, with the services as Lambda functions or as ECS tasks. See docs/DEPLOY.md."""
