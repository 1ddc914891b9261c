"""Sets of sequence numbers as ranges: memory grows with the gaps, not with the records."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator


class RangeSet:
    """Disjoint, ascending, half-open ranges [start, end) that never touch. Appending in order costs O(1)."""

    __slots__ = ("_ends", "_starts")

    def __init__(self, *ranges: tuple[int, int]) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in ranges:
            self.add(start, end)

    def add(self, start: int, end: int) -> None:
        """Adds [start, end)."""
        if start >= end:
            return
        starts, ends = self._starts, self._ends
        if not ends or start > ends[-1]:
            starts.append(start)
            ends.append(end)
            return
        if start == ends[-1]:
            ends[-1] = end
            return
        first = bisect_left(ends, start)  # the first range that reaches start
        last = bisect_right(starts, end)  # behind the last range that starts by end
        if first < last:
            start = min(start, starts[first])
            end = max(end, ends[last - 1])
        starts[first:last] = [start]
        ends[first:last] = [end]

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self._starts, number) - 1
        return place >= 0 and number < self._ends[place]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._starts, self._ends, strict=True)

    def __len__(self) -> int:
        """How many ranges."""
        return len(self._starts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RangeSet) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"RangeSet({', '.join(map(str, self))})"

    @property
    def end(self) -> int:
        """One past the largest number; 0 when empty."""
        return self._ends[-1] if self._ends else 0

    def count(self, start: int = 0, end: int | None = None) -> int:
        """How many numbers lie in [start, end)."""
        if end is None:
            end = self.end
        starts, ends = self._starts, self._ends
        if starts and start >= starts[-1]:  # as a rule, of what was added last; it spares the search
            return max(min(ends[-1], end) - start, 0)
        if start >= end:
            return 0
        first = bisect_right(ends, start)
        last = bisect_left(starts, end)
        return sum(min(ends[place], end) - max(starts[place], start) for place in range(first, last))

    def minus(self, other: RangeSet) -> RangeSet:
        """The numbers that are here and not in `other`."""
        result, theirs = RangeSet(), list(other)
        place = 0
        for start, end in self:
            while place < len(theirs) and theirs[place][1] <= start:
                place += 1
            kept_from, at = start, place
            while at < len(theirs) and theirs[at][0] < end:
                result.add(kept_from, theirs[at][0])
                kept_from = theirs[at][1]
                at += 1
            result.add(kept_from, end)
        return result

    def plus(self, other: RangeSet) -> RangeSet:
        """The numbers that are in either."""
        return RangeSet(*sorted([*self, *other]))

    def common(self, other: RangeSet) -> RangeSet:
        """The numbers that are in both."""
        return self.minus(self.minus(other))

    def from_on(self, start: int) -> RangeSet:
        """The numbers from `start` on."""
        return self.minus(RangeSet((0, start)))

    def below(self, limit: int) -> RangeSet:
        """The numbers under `limit`."""
        result = RangeSet()
        for start, end in self:
            result.add(start, min(end, limit))
        return result
