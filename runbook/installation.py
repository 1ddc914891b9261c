"""Are the packages that Python finds under our names ours? Their names are common ones: checks, clients, lab…

Run by path, before anything of ours is imported, so it imports nothing of ours:

    runpy.run_path(str(root / "runbook" / "installation.py"))["require_own"](root)
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import sys
from importlib import metadata
from pathlib import Path

PACKAGES = (
    "checks", "clients", "lab", "locust_session", "locustfiles", "mm2_users", "monitoring", "report_templates",
    "run_record", "runbook", "scenarios",
)  # fmt: skip
#: ExitCode.REFUSED
REFUSED = 40


def require_own(root: Path) -> None:
    """Makes the packages in `root` importable, and ends the process with a sentence when others would be imported."""
    found = {name: _found(name) for name in PACKAGES}
    problem = shadowed(root, found) or overwritten(root)
    if problem is not None:
        print(f"mm2gate: {problem}", file=sys.stderr)
        sys.exit(REFUSED)
    if None in found.values():
        sys.path.insert(0, str(root))


def shadowed(root: Path, found: dict[str, Path | None]) -> str | None:
    """The sentence about the first package that was found elsewhere. Pure."""
    for name, path in found.items():
        if path is not None and path != root / name:
            return (
                f"{path} would be used instead of {root / name}; start in another directory, or rename it, "
                "or take it off PYTHONPATH"
            )
    return None


def overwritten(root: Path) -> str | None:
    """The sentence about the first package that another distribution was installed over; pip does so silently.

    Only a wheel's list of files tells; a checkout has none.
    """
    try:
        distribution = metadata.distribution("mm2gate")
    except metadata.PackageNotFoundError:
        return None
    for file in distribution.files or ():
        if file.name != "__init__.py" or len(file.parts) != 2 or file.hash is None or file.parts[0] not in PACKAGES:
            continue
        path = Path(str(distribution.locate_file(file)))
        if path == root / file and not _is_as_recorded(path, file.hash):
            others = metadata.packages_distributions().get(file.parts[0], [])
            whose = " and ".join(sorted(set(others) - {"mm2gate"})) or "another package"
            return f"{whose} was installed over {path.parent}; give mm2gate an environment of its own, not {root}"
    return None


def _is_as_recorded(path: Path, recorded: metadata.FileHash) -> bool:
    try:
        digest = hashlib.new(recorded.mode, path.read_bytes()).digest()
    except OSError:
        return False
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == recorded.value


def _found(name: str) -> Path | None:
    """The directory that `import name` leads to; None when there is no such package, or only a folder of that name."""
    module = sys.modules.get(name)
    origin = getattr(module, "__file__", None)
    if module is None:
        spec = importlib.util.find_spec(name)
        origin = None if spec is None else spec.origin
    return None if origin is None else Path(origin).resolve().parent
