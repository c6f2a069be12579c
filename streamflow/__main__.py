"""`python -m streamflow` is `streamflow`."""

import sys

from streamflow.cli.main import main

sys.exit(main())
