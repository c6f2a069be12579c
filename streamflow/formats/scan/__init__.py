"""Scan: messages straight into columns, by kernels. What is odd goes to msgspec."""
