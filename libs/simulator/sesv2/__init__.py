"""Amazon SES v2: email."""
