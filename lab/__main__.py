"""`python -m lab`."""

from lab.cli import lab

lab(prog_name="python -m lab")
