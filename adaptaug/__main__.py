"""`python -m adaptaug`."""

from adaptaug.cli import main

main()
