"""What each cleaning stage costs a reading, beside a loop and a copy of the columns."""
