"""Flow: what users compose; and what finds, checks and describes its parts."""
