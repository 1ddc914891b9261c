"""One module per figure; each has `measure(...)`, which gives its rows of the table."""
