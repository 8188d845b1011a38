"""The sender of SMS and MMS."""
