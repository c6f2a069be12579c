"""How good a flow's alerts are, judged by what is known to have gone wrong."""
