"""What providers' own words mean in ours; pure tables that the sending and the receiving side share."""
