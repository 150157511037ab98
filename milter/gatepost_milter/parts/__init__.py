"""What a message is made of (MIME): parts, encodings, charsets, encoded words, addresses."""
