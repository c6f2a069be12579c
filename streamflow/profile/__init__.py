"""Profile: looks at data, says what is wrong with it, and writes a flow to start from."""
