"""One folder per channel: it translates a message for one provider."""
