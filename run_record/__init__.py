"""What load and judge share: the run's directory, its manifest, timeline, ledger and histograms. Plain data."""
