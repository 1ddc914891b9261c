"""A row of the diagnosis: whether it fits, the figures of its sentences, and what it may explain. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from checks.reasons import Param

#: The page's own rows ("Si NOGO : diagnostic").
PAGE_ROWS = ("poll_zero", "write_zero", "slow", "nothing_on_target")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A row: does it fit (None: it could not be told), and the figures of its sentences."""

    row: str
    fits: bool | None
    params: Mapping[str, Param] = field(default_factory=dict)

    @property
    def from_page(self) -> bool:
        """Whether the row stands on the runbook's page."""
        return self.row in PAGE_ROWS


def fitting(row: str, **params: Param | None) -> Finding:
    """A row that fits; a figure that is not known is left out, and shown as a dash."""
    return Finding(row=row, fits=True, params={name: value for name, value in params.items() if value is not None})
