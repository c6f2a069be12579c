"""Formats: bytes to batches. What cannot become a reading is reported as dead, with its reason."""
