"""`members.py PYTHON run FLOW ...`: streamflow, with another Python for members of a cluster."""

from __future__ import annotations

import sys

from streamflow.cli.main import main

if __name__ == "__main__":
    sys.executable = sys.argv[1]
    sys.exit(main(sys.argv[2:]))
