"""What a missing value becomes: one way a file."""
