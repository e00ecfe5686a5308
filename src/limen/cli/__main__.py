"""`python -m limen.cli`: the same as the command `limen`."""

from . import main

main()
