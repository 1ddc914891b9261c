"""What the verdict of a plan will rest on: which of its required criteria need which names. Pure.

Advisory criteria do not decide, so nothing is refused for them; nor is what stands beside a criterion.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from checks.foreign import NEEDS_ENVELOPES
from checks.measure_roles import roles_of
from checks.metric_roles import Role
from scenarios.criterion import Criterion
from scenarios.plan import RunPlan

#: Measures of the load's own end of things. All others but those of the workers' machines read mirrors, or MM2's
#: connector, or are worked out from what does: to forget one here only asks for more.
OF_THE_SOURCE = frozenset(
    {
        "load.achieved",
        "load.send_delay_max",
        "load.send_delay_mean",
        "load.send_delay_p99",
        "ledger.acked",
        "ledger.send_errors",
        "source.ack_mean",
    }
)
#: Of all connectors that the environment names, not of the source connector alone.
OF_ALL_CONNECTORS = "connect.not_running"


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """Each is ids of criteria. `mirrors`: what the source connector and its mirrors are called; `connectors`: the other
    connectors too; `roles`: a metric."""

    mirrors: tuple[str, ...] = ()
    connectors: tuple[str, ...] = ()
    roles: Mapping[Role, tuple[str, ...]]

    @classmethod
    def of(cls, plan: RunPlan, *, load: str = "own") -> Self:
        """`load`: who sends (`--load`); of records without envelopes some criteria can tell nothing anyway."""
        required = [
            one
            for one in plan.scenario.criteria
            if not one.advisory and (load == "own" or one.measure not in NEEDS_ENVELOPES)
        ]
        roles: dict[Role, list[str]] = {}
        for criterion in required:
            for role in sorted(roles_of(criterion.measure, plan.environment)):
                roles.setdefault(role, []).append(criterion.id)
        return cls(
            mirrors=_ids(one for one in required if _of_mirrors(one.measure)),
            connectors=_ids(one for one in required if one.measure == OF_ALL_CONNECTORS),
            roles={role: tuple(ids) for role, ids in roles.items()},
        )

    def of_roles(self, roles: Iterable[Role]) -> tuple[str, ...]:
        """The criteria that need any of these."""
        wanted = set(roles)
        return tuple(dict.fromkeys(id_ for role, ids in self.roles.items() if role in wanted for id_ in ids))


def _of_mirrors(measure: str) -> bool:
    return measure not in OF_THE_SOURCE and not measure.startswith("workers.")


def _ids(criteria: Iterable[Criterion]) -> tuple[str, ...]:
    return tuple(one.id for one in criteria)
