"""Scan: flat messages straight into columns, by a kernel. What is odd goes to msgspec."""
