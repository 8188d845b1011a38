"""The declaration of a service, and the topology derived from it."""
