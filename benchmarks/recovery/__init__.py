"""What keeping state costs: the same flow with recovery on and off, and a million devices."""
