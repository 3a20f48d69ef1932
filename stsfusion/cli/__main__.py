"""`python -m stsfusion.cli`: the command line without its script."""

from stsfusion.cli import main

main()
