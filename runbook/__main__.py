"""`python -m runbook` is `mm2gate`."""

from runbook.cli import main

main()
