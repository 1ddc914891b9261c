"""Report templates, one folder per language, and the lines of the runbook's pages. Data, no code."""
