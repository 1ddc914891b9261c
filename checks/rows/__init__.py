"""Rows of the diagnosis that are ours, one module for each place in which a cause can lie. None of them decides a
verdict: they are looked for when the verdict is known."""
