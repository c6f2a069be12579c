"""A buffered sink's durable queue, beside one SQLite row for each reading."""
