"""``python -m groundswell.cli``."""

from groundswell.cli import main

main()
