"""The topics themselves: mirrors that are missing, made anew, cut short, called otherwise; sources that were purged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from checks.finding import Finding, fitting
from checks.topic_troubles import TopicTrouble


def topic_rows(troubles: Iterable[TopicTrouble]) -> Iterator[Finding]:
    """A row for each fact, by its kind."""
    for trouble in troubles:
        yield fitting(
            trouble.kind,
            topic=trouble.topic,
            topics=trouble.topics,
            at_ns=trouble.at_ns,
            count=trouble.count,
            of=trouble.of,
            found=trouble.found,
        )
