"""The command line `mm2gate`, and what it says before a run: the plan."""
