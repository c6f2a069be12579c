"""The command line. One file a command; each loads only what it needs."""
