"""The platform in containers: the programs inside them, and docker-compose.localstack.yml."""
