"""What a load that is not ours asks of the master, beyond what every run does: a plan that such a load can play."""

from __future__ import annotations

from clients.kafka import off_hub
from clients.kafka_admin import Admin
from mm2_users.foreign import Kind
from mm2_users.master import KafkaMaster
from run_record.manifest import ClusterSeen
from scenarios.errors import Refused
from scenarios.plan import RunPlan


class ForeignMaster(KafkaMaster):
    """`locust_session.load.MasterLoad` for `--load perf-test` and `--load none`."""

    def __init__(self, plan: RunPlan, kind: Kind) -> None:
        super().__init__(plan)
        self._scenario = plan.scenario.name
        self._kind = kind
        self._loaded = plan

    def identify(self) -> tuple[ClusterSeen, ClusterSeen]:
        """Also: one load phase at one rate, since the tool knows no other, and offsets tell no phases apart. With
        `none` the topics must be there: nothing is created."""
        loads = self._loaded.loads
        rates = {rate for load in loads for s in load.profile.segments for rate in (s.from_per_s, s.to_per_s)}
        if len(loads) != 1 or len(rates) != 1:
            raise Refused(
                f"--load {self._kind} plays one load phase at one rate; {self._scenario} has {len(loads)} phases and "
                f"{len(rates)} rates. Choose phase1_smoke or phase2_nominal, or --load own"
            )
        seen = super().identify()
        missing = self._missing() if self._kind == "none" else []
        if missing:
            raise Refused(
                f"--load none only watches, and {missing[0]} is not there ({len(missing)} topics); "
                "create it, or name the topics that others write in a copy of the scenario"
            )
        return seen

    def create(self) -> list[str]:
        """Nothing with `none`."""
        return [] if self._kind == "none" else super().create()

    def _missing(self) -> list[str]:
        existing = off_hub(Admin(self._loaded.environment.source, self._loaded.loaded_environment).partitions)
        return [topic.source for topic in self._loaded.topics if topic.source not in existing]
