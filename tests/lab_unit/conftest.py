"""The lab's own parts, with real processes."""

from tests.unpatched import unpatched

__all__ = ["unpatched"]
