"""What the judge says on top in a CI job: GitHub's annotations and job summary, GitLab's collapsible section.

GITHUB_STEP_SUMMARY=file   summary.md is appended to it
GITHUB_ACTIONS=true        an annotation for each criterion that is not GO
GITLAB_CI                  the criteria, in a section that is folded
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from checks.criterion_text import against
from checks.markdown import one_line
from scenarios.visible import visible

#: GitHub shows ten annotations of a level in a step, and drops the rest without a word.
MOST_ANNOTATIONS = 10
LEVELS = {"NOGO": "error", "INCONCLUSIVE": "error", "GREY": "warning"}
WORST_FIRST = ("NOGO", "INCONCLUSIVE", "GREY")


def for_ci(
    verdict_file: Path,
    *,
    say: Callable[[str], None],
    environment: Mapping[str, str] = os.environ,
    now_s: float | None = None,
) -> None:
    """Says and appends what this CI understands; nothing at all outside of one."""
    content = json.loads(verdict_file.read_text(encoding="utf-8"))
    if environment.get("GITLAB_CI"):
        say(gitlab_section(content, now_s=datetime.now(UTC).timestamp() if now_s is None else now_s))
    if environment.get("GITHUB_ACTIONS") == "true":
        for line in github_annotations(content):
            say(line)
    step_summary = environment.get("GITHUB_STEP_SUMMARY")
    if step_summary:
        summary = verdict_file.with_name("summary.md").read_text(encoding="utf-8")
        try:
            with Path(step_summary).open("a", encoding="utf-8") as file:
                file.write(with_links_to(summary, _artifacts(environment)) + "\n")
        except OSError as error:
            say(f"the job summary could not be appended to {step_summary} ({error.strerror}); it is in summary.md")


def github_annotations(content: dict[str, Any]) -> Iterator[str]:
    """Workflow commands, worst first; advisory criteria are notices."""
    where = f"mm2gate {content['scenario']}"
    open_ = [one for one in content["criteria"] if one["verdict"] in LEVELS]
    required = sorted((one for one in open_ if not one["advisory"]), key=lambda one: WORST_FIRST.index(one["verdict"]))
    if content["verdict"] != "GO" and not required:
        yield _command("error", f"{where}: {content['verdict']}", str(content["reason"]["code"]).replace("_", " "))
    for level in ("error", "warning"):
        of_level = [one for one in required if LEVELS[one["verdict"]] == level]
        shown = of_level if len(of_level) <= MOST_ANNOTATIONS else of_level[: MOST_ANNOTATIONS - 1]
        for one in shown:
            yield _command(level, f"{where}: {one['verdict']}", against(one))
        if len(of_level) > len(shown):
            yield _command(level, where, f"and {len(of_level) - len(shown)} more; see the job summary")
    for one in [one for one in open_ if one["advisory"]][:MOST_ANNOTATIONS]:
        yield _command("notice", f"{where}: {one['verdict']}, advisory", against(one))


def gitlab_section(content: dict[str, Any], *, now_s: float) -> str:
    """All criteria under one line that unfolds them."""
    at, reset = int(now_s), "\x1b[0K"
    lines = [f"  {one['verdict']:<12} {against(one)}" for one in content["criteria"]]
    title = one_line(f"criteria of {content['scenario']} ({len(lines)})")
    return "\n".join(
        [
            f"{reset}section_start:{at}:mm2gate_criteria[collapsed=true]\r{reset}{title}",
            *lines,
            f"{reset}section_end:{at}:mm2gate_criteria\r{reset}",
        ]
    )


def with_links_to(summary: str, artifacts: str) -> str:
    """The summary with its links, which are relative to the run's directory, leading to the job's artifacts.

    A job's page has no such directory beside it. Without an address for the artifacts the links become plain text.
    """
    if artifacts:
        return re.sub(r"(?<!\\)\]\((?![a-z]+:)[^)\s]+\)", f"]({artifacts})", summary)
    return re.sub(r"(?<!\\)\[([^\[\]]+)\]\((?![a-z]+:)[^)\s]+\)", r"\1", summary)


def _artifacts(environment: Mapping[str, str]) -> str:
    server, repository, run = (environment.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    return f"{server}/{repository}/actions/runs/{run}#artifacts" if server and repository and run else ""


def _command(level: str, title: str, message: str) -> str:
    return f"::{level} title={_escaped(title, ':,')}::{_escaped(message)}"


def _escaped(text: str, also: str = "") -> str:
    """As the runner undoes it: first the per cent sign, then what would end the command or its property."""
    text = visible(text)
    for character in "%\r\n" + also:
        text = text.replace(character, f"%{ord(character):02X}")
    return text
