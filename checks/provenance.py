"""Where a judgement comes from: plan, clusters, versions, seals, and under which names Prometheus was asked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from checks.markdown import Md
from checks.measures import Run
from checks.words import NS_PER_S, Words
from run_record.store import SEAL


def provenance(run: Run, *, words: Words) -> dict[str, Any]:
    """What the fiche's last section says, as text by its template's names."""
    manifest, record = run.record.manifest, run.record
    seal = record.directory / "record" / SEAL
    ending = manifest.ending
    index = run.evidence.index
    workers = run.evidence.connect("workers").content or ()
    return {
        "scenario_sha256": manifest.scenario.sha256,
        "source": manifest.environment.source,
        "target": manifest.environment.target,
        "production": words.phrase("yes" if manifest.environment.production else "no"),
        "versions": _listed(f"{name} {version}" for name, version in sorted(manifest.versions.items())),
        "connect": _listed(
            words.named(worker["url"], worker.get("version") or words.phrase("not_measured")) for worker in workers
        )
        or str(words.phrase(_no_version(run))),
        "load_workers": _listed(f"{worker.host} (pid {worker.pid})" for worker in manifest.workers) or "–",
        "ending": words.of("endings", ending.how) if ending is not None else str(words.phrase("unfinished")),
        "seal": _sha256(seal.read_bytes()) if record.sealed else str(words.phrase("unsealed")),
        "torn": _listed(record.torn),
        "evidence": run.evidence.directory.name,
        "evidence_seal": _sha256(run.evidence.seal.encode()) if run.evidence.seal else "–",
        "collected_at": words.instant(index["collected_at_ns"] / NS_PER_S) if "collected_at_ns" in index else "–",
        "profile": run.evidence.profile.name,
        "profile_notes": Md(words.several(_profile_notes(run, words))),
        "prometheus": str(words.phrase("not_asked")) if run.evidence.offline else index["prometheus_url"],
    }


def _no_version(run: Run) -> str:
    """The phrase that says why Connect's version is not known."""
    if run.evidence.offline is not None:
        return "not_asked"
    return "not_measured" if run.environment.connect.urls else "no_rest_api"


def _profile_notes(run: Run, words: Words) -> Iterator[str]:
    """What is to be said of the metric profile: who chose it, what else is there, what is not."""
    index = run.evidence.index
    if index.get("profile_named"):
        yield str(words.phrase("profile_named"))
    if others := index.get("profile_others"):
        yield str(words.phrase("profile_others", others=_listed(others)))
    if missing := index.get("profile_missing"):
        yield str(words.phrase("profile_missing", roles=_listed(missing)))


def _listed(items: Iterable[str]) -> str:
    return ", ".join(items)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
