"""The local stack: an AWS emulator, the carrier simulator and the platform on one machine, without Docker and without an account."""
