"""Maps providers' codes and statuses to the platform's; pure tables shared by senders and ``inbound``."""
