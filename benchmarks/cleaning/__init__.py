"""What the cleaning stages find of faults put into real signals, and what that does for alerts."""
