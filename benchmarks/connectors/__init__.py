"""Messages of a broker into columns: our connectors beside those that a user would take."""
