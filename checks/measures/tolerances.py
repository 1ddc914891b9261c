"""How much may be missing of what is scraped, and of our own timeline, before nothing is believed of it any more."""

from __future__ import annotations

#: The least share of what is looked at that points must vouch for.
COVERAGE_LEAST = 0.9
#: A point this many scrapes old still speaks for a window's end, and one so late for its start.
FRESH_SCRAPES = 2
#: What was there so many scrapes ago has not gone yet; for so long a task that moves may be on two workers.
PATIENCE_SCRAPES = 3
#: The longest time without a point in what is looked at point by point, whatever its share: the shortest that the
#: runbook's alerts wait before they say anything, so that nothing which they would tell hides in a hole. A counter's
#: growth is read from its two ends, and needs nothing between them but its coverage.
HOLE_LONGEST_S = 120.0
#: The same of the timeline, which has a row each second: its histograms are kept as often.
ROWS_HOLE_LONGEST_S = 10.0
