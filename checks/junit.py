"""junit.xml: the verdict for CI systems, a test case per criterion. Pure, and the same bytes from the same verdict.

    GO                                             passed
    NOGO, GREY                                     failure, its type says which
    INCONCLUSIVE: it could not be measured         error
    INCONCLUSIVE: it may not be judged             skipped, with the reason; what it follows from is a case of its own
    advisory, and not GO                           skipped: it decides nothing

What XML cannot hold, and what a CI's page would obey, is written out (`scenarios.visible`).

A suite is never green when the run is not GO: where no criterion says so (an aborted run), a case `run` does.
"""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

from checks.criterion_text import against
from checks.reasons import Code
from scenarios.visible import visible

#: The criterion was measured, but what it means hangs on something else that went wrong.
NOT_JUDGED = frozenset(
    {
        Code.NOT_YET,
        Code.LOAD_NOT_APPLIED,
        Code.LOAD_NOT_JUDGED,
        Code.PLAN_NOT_SENT,
        Code.DRAIN_CUT_SHORT,
        Code.RECORD_UNRELIABLE,
    }
)
TAGS = ("failure", "error", "skipped")


def junit(content: dict[str, Any], *, started_at: str) -> str:
    """The file's text, from verdict.json's content. `started_at`: when the run began, ISO 8601."""
    name = str(content["scenario"])
    suite = ET.Element("testsuite", {"name": visible(name), "timestamp": started_at})
    properties = ET.SubElement(suite, "properties")
    for key in ("run_id", "verdict", "exit_code", "aborted", "rehearsal", "evidence"):
        ET.SubElement(properties, "property", {"name": key, "value": visible(str(content[key]))})
    for criterion in content["criteria"]:
        _case(suite, f"{name}.{criterion['group']}", str(criterion["id"]), *_outcome(criterion))
    if content["verdict"] != "GO" and suite.find(".//failure") is None and suite.find(".//error") is None:
        reason = content["reason"]
        details = "\n".join(f"{key}: {value}" for key, value in reason["params"].items())
        what = f"{content['verdict']}: {str(reason['code']).replace('_', ' ')}"
        _case(suite, f"{name}.run", "run", "failure" if content["verdict"] == "NOGO" else "error", what, details)
    counts = {"tests": len(suite.findall("testcase"))}
    counts |= {plural: len(suite.findall(f"testcase/{tag}")) for tag, plural in zip(TAGS, _PLURALS, strict=True)}
    root = ET.Element("testsuites", {"name": "mm2gate"})
    for element in (root, suite):
        element.attrib.update({key: str(count) for key, count in counts.items()})
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


_PLURALS = ("failures", "errors", "skipped")


def _outcome(criterion: dict[str, Any]) -> tuple[str, str, str]:
    """Tag (empty when passed), message and details of a criterion's case."""
    verdict, code = str(criterion["verdict"]), str(criterion["reason"]["code"])
    message = f"{verdict}: {against(criterion)}"
    details = "\n".join(_details(criterion))
    if verdict == "GO":
        return "", message, details
    if criterion["advisory"]:
        return "skipped", f"advisory, {message}", details
    if verdict == "NOT_RUN" or (verdict == "INCONCLUSIVE" and code in NOT_JUDGED):
        return "skipped", f"not judged, {message}", details
    return ("error" if verdict == "INCONCLUSIVE" else "failure"), message, details


def _details(criterion: dict[str, Any]) -> list[str]:
    params = ", ".join(f"{key} = {value}" for key, value in criterion["reason"]["params"].items())
    window = criterion["window"]
    return [
        f"measure: {criterion['measure']}",
        f"GO: {criterion['go']}",
        f"NOGO: {criterion['nogo'] or 'otherwise'}",
        f"reason: {criterion['reason']['code']}{f' ({params})' if params else ''}",
        f"samples: {criterion['samples']}",
        *([f"window: {window['start']} to {window['end']}"] if window else []),
        f"source: {criterion['source']}",
    ]


def _case(suite: ET.Element, classname: str, name: str, tag: str, message: str, details: str) -> None:
    case = ET.SubElement(suite, "testcase", {"classname": visible(classname), "name": visible(name)})
    if tag:
        kind = message.split(":", 1)[0].rpartition(" ")[2]
        outcome = ET.SubElement(case, tag, {"type": visible(kind), "message": visible(message)})
        outcome.text = visible(details)
    else:
        ET.SubElement(case, "system-out").text = visible(f"{message}\n{details}")
