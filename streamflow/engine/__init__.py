"""The engine: one plan, run in this process (`local`) or on Bytewax (`wax`)."""
