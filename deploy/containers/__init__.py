"""The platform in containers: what runs inside them, and docker-compose.localstack.yml from outside."""
