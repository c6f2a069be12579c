"""Whether alert budgets are kept: on noise, on quiet real series; and what they cost."""
