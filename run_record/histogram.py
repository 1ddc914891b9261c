"""Latency histograms: HDR, 1 µs to 1 h, 3 significant digits, which merge without loss.

Nothing is dropped or clamped: negative values (a clock that lies) and values off the scale are counted apart, and the
exact minimum, maximum and sum are kept beside the buckets.
"""

from __future__ import annotations

import binascii
import math
import zlib
from base64 import b64decode
from struct import Struct
from typing import Any, NoReturn

import numpy as np
from hdrh.codec import HdrCookieException, HdrLengthException
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

from run_record.reading import Unreadable

LOWEST_US = 1
HIGHEST_US = 3_600_000_000
DIGITS = 3
NS_PER_US = 1000
US_PER_MS = 1000.0
#: Standard deviations on either side that hold 95 % of a normal distribution.
Z_95 = 1.96
#: Three digits need 2000 sub-buckets, so HDR takes the next power of two.
_SUB_BUCKET_BITS = 11
_SUB_BUCKET_MASK = 2**_SUB_BUCKET_BITS - 1
#: HdrHistogram's compressed form, V2: cookie and length; then compressed: cookie, length of the counts, normalizing
#: offset, digits, lowest and highest value, conversion ratio.
_OUTER, _INNER = Struct(">ii"), Struct(">iiiiqqd")
_MOST_TEXT, _MOST_INNER = 1 << 20, 1 << 20
#: Durations are far below this many nanoseconds, their sum too.
_MOST_NS = 2**100


def _bucket_indices(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where HdrHistogram counts each of these values, from 0 to HIGHEST_US.

    Values below 2048 have a bucket each; every further power of two has 1024 of them.
    """
    # The exponent of a double is where the highest bit stands; these values are far below 2**53, so none is rounded.
    # All in two arrays: malloc gives such large ones back each time, and what costs most is to get new pages for them.
    scratch = values | _SUB_BUCKET_MASK
    indices: NDArray[np.int64] = scratch.astype(np.float64).view(np.int64)
    indices >>= 52
    indices -= 1022 + _SUB_BUCKET_BITS
    np.right_shift(values, indices, out=scratch)
    indices <<= _SUB_BUCKET_BITS - 1
    indices += scratch
    return indices


class LatencyHistogram:
    """A mutable histogram of durations, fed in nanoseconds, read in milliseconds."""

    def __init__(self) -> None:
        self._hdr = HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)
        # hdrh's own counters, seen as an array: it has no way to record many values but one at a time.
        self._buckets: NDArray[np.uint64] = np.frombuffer(self._hdr.counts, dtype=np.uint64)
        self.count = 0
        self.negative = 0
        self.overflow = 0
        self._sum_ns = 0
        self._min_ns: int | None = None
        self._max_ns: int | None = None

    def record_ns(self, durations_ns: NDArray[np.int64]) -> None:
        """Counts an array of durations."""
        if len(durations_ns) == 0:
            return
        self.count += len(durations_ns)
        self._sum_ns += int(durations_ns.sum())
        low, high = int(durations_ns.min()), int(durations_ns.max())
        self._min_ns = low if self._min_ns is None else min(self._min_ns, low)
        self._max_ns = high if self._max_ns is None else max(self._max_ns, high)
        if low < 0:
            self.negative += int((durations_ns < 0).sum())
            durations_ns = durations_ns[durations_ns >= 0]
        microseconds = durations_ns // NS_PER_US
        if high // NS_PER_US > HIGHEST_US:
            self.overflow += int((microseconds > HIGHEST_US).sum())
            microseconds = microseconds[microseconds <= HIGHEST_US]
        if len(microseconds) == 0:
            return
        counts = np.bincount(_bucket_indices(microseconds))
        self._buckets[: len(counts)] += counts.astype(np.uint64)
        hdr = self._hdr
        hdr.total_count += len(microseconds)
        hdr.min_value = min(hdr.min_value, int(microseconds.min()))
        hdr.max_value = max(hdr.max_value, int(microseconds.max()))

    def merge(self, other: LatencyHistogram) -> None:
        """Adds another's counts; the result is that of having recorded all values here."""
        self._hdr.add(other._hdr)
        self.count += other.count
        self.negative += other.negative
        self.overflow += other.overflow
        self._sum_ns += other._sum_ns
        for name, choose in (("_min_ns", min), ("_max_ns", max)):
            values = [value for value in (getattr(self, name), getattr(other, name)) if value is not None]
            setattr(self, name, choose(values) if values else None)

    @property
    def sum_ns(self) -> int:
        """Exact sum."""
        return self._sum_ns

    @property
    def mean_ms(self) -> float:
        """Exact mean; NaN when empty."""
        return self._sum_ns / self.count / NS_PER_US / US_PER_MS if self.count else math.nan

    @property
    def max_ms(self) -> float:
        """Exact maximum; NaN when empty."""
        return math.nan if self._max_ns is None else self._max_ns / NS_PER_US / US_PER_MS

    def percentile_ms(self, percentile: float, *, missing: int = 0) -> float:
        """The value at or below which `percentile` % of all lie, `missing` more counting as infinite.

        Negative values rank first (as 0), overflowing ones last (as infinite). NaN when there is nothing at all.
        """
        everything = self.count + missing
        if everything == 0:
            return math.nan
        return self._at_rank_ms(max(math.ceil(everything * percentile / 100), 1))

    def percentile_interval_ms(self, percentile: float, *, missing: int = 0) -> tuple[float, float]:
        """Where the percentile of what was sampled lies with 95 % confidence, were all values independent: the number
        of values below it is binomial. (NaN, NaN) when there is nothing at all."""
        everything = self.count + missing
        if everything == 0:
            return math.nan, math.nan
        share = percentile / 100
        reach = Z_95 * math.sqrt(everything * share * (1 - share))
        low, high = math.floor(everything * share - reach), math.ceil(everything * share + reach) + 1
        return self._at_rank_ms(max(low, 1)), self._at_rank_ms(min(high, everything))

    def _at_rank_ms(self, rank: int) -> float:
        """The value at a rank, from 1 on; ranks above all that are counted are of missing ones."""
        if rank <= self.negative:
            return 0.0
        within = self._hdr.get_total_count()
        if rank > self.negative + within:
            return math.inf
        index = int(np.searchsorted(np.cumsum(self._buckets), rank - self.negative))
        value_us = self._hdr.get_highest_equivalent_value(self._hdr.get_value_from_index(index))
        # HDR answers with the upper edge of the bucket; no value can be above the exact maximum.
        return min(float(value_us) / US_PER_MS, self.max_ms)

    def to_json(self) -> dict[str, Any]:
        """Counts and exact extremes, and the buckets in HdrHistogram's own base64 form (V2, compressed)."""
        return {
            "count": self.count,
            "negative": self.negative,
            "overflow": self.overflow,
            "sum_ns": self._sum_ns,
            "min_ns": self._min_ns,
            "max_ns": self._max_ns,
            "hdr_us": self._hdr.encode().decode(),
        }

    @classmethod
    def from_json(cls, content: Any) -> LatencyHistogram:
        """The inverse of `to_json`. Raises Unreadable when the content is none, or does not add up."""
        if not isinstance(content, dict):
            raise Unreadable("is no histogram")
        histogram = cls()
        histogram.count, histogram.negative, histogram.overflow = (
            _whole(content, name, least=0) for name in ("count", "negative", "overflow")
        )
        histogram._sum_ns = _whole(content, "sum_ns", least=-_MOST_NS)
        if histogram.count or content.get("min_ns", 0) is not None or content.get("max_ns", 0) is not None:
            histogram._min_ns = _whole(content, "min_ns", least=-_MOST_NS)
            histogram._max_ns = _whole(content, "max_ns", least=-_MOST_NS)
        if "hdr_us" not in content:
            raise Unreadable("missing", where="hdr_us")
        text = content["hdr_us"]
        _check_form(text)
        try:
            histogram._hdr.decode_and_add(text)
        except (ValueError, TypeError, IndexError, zlib.error, HdrLengthException, HdrCookieException) as error:
            raise Unreadable(f"is no histogram ({type(error).__name__})", where="hdr_us") from None
        histogram._require_whole()
        return histogram

    def _require_whole(self) -> None:
        """Buckets, counts and exact figures tell of the same values. Raises Unreadable."""
        filled = np.flatnonzero(self._buckets)
        counts = self._buckets[filled]
        if self.negative + self.overflow + int(counts.sum()) != self.count:
            raise Unreadable(f"counts {self.count} values, and holds another number of them", where="count")
        low, high = self._min_ns, self._max_ns
        if self.count == 0:
            if self._sum_ns or low is not None or high is not None:
                raise Unreadable("has figures of no value")
            return
        if low is None or high is None or not low * self.count <= self._sum_ns <= high * self.count:
            raise Unreadable("its least, largest and sum are not of the same values", where="sum_ns")
        if (low < 0) != (self.negative > 0) or (high // NS_PER_US > HIGHEST_US) != (self.overflow > 0):
            raise Unreadable("its least or largest value is not among those that it counts", where="min_ns")
        if len(filled) == 0:
            return
        edges = [(low, filled[0], "min_ns")] if self.negative == 0 else []
        edges += [(high, filled[-1], "max_ns")] if self.overflow == 0 and high >= 0 else []
        for value_ns, bucket, name in edges:
            if int(_bucket_indices(np.array([value_ns // NS_PER_US]))[0]) != int(bucket):
                raise Unreadable("is not where the buckets end", where=name)


def _whole(content: dict[str, Any], name: str, *, least: int) -> int:
    if name not in content:
        raise Unreadable("missing", where=name)
    value = content[name]
    if type(value) is not int or not least <= value <= _MOST_NS:
        raise Unreadable("is no such number", where=name)
    return value


def _check_form(text: object) -> None:
    """That the buckets' text is of our own kind, and unpacks to no more than we ever packed. Raises Unreadable."""

    def refuse(why: str) -> NoReturn:
        raise Unreadable(why, where="hdr_us")

    if not isinstance(text, str) or len(text) > _MOST_TEXT:
        refuse("is no text of a histogram")
    try:
        packed = b64decode(text, validate=True)
        unpacker = zlib.decompressobj()
        inner = unpacker.decompress(packed[_OUTER.size :], _MOST_INNER)
    except (binascii.Error, ValueError, zlib.error) as error:
        refuse(f"cannot be unpacked ({type(error).__name__})")
    if not unpacker.eof or unpacker.unused_data or len(inner) < _INNER.size:
        refuse("is cut, or too long")
    _, length, _, digits, lowest, highest, _ = _INNER.unpack_from(inner)
    if (digits, lowest, highest) != (DIGITS, LOWEST_US, HIGHEST_US) or length != len(inner) - _INNER.size:
        refuse("is a histogram of another kind")
