"""The send ledger: one row per message, its transitions and writes."""
