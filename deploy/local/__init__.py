"""AWS, the carrier simulator and our own processes on one machine, without Docker and without an account."""
