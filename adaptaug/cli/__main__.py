"""`python -m adaptaug.cli`."""

from adaptaug.cli import main

main()
