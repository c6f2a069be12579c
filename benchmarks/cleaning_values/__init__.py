"""What each cleaning stage costs per reading, beside a copy of the columns and a Python loop."""
