"""What the decoder learns to predict, given what it was fed."""
