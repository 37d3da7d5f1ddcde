"""`python -m bsqav`: the command line."""

import sys

from bsqav.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
