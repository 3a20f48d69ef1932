"""Lets `python -m stsfusion.gpu` run the checks."""

import sys

from stsfusion.gpu.command import main

if __name__ == "__main__":
    sys.exit(main())
