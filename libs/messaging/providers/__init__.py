"""What providers call things, in our words: shared by the sender and the translator of a channel's feed."""
