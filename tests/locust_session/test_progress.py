"""Progress: one live line on a terminal; anywhere else plain lines with a time, few enough for a log."""

from __future__ import annotations

import io
import re

import pytest

from locust_session.progress import Progress
from run_record.timeline import LatencySummary, TimelineRow


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def row(phase="smoke", **changes) -> TimelineRow:
    numbers = dict.fromkeys(("wanted", "acked", "failed", "unknown", "arrived", "duplicated"), 0)
    content = {
        "at_ns": 1,
        "phase": phase,
        "wanted_per_s": 10.0,
        "sent": 42,
        "backlog": 3,
        "e2e": LatencySummary(count=200, p50_ms=5.0, p99_ms=12.4, max_ms=20.0),
        "send_delay": LatencySummary(count=0),
        "wall_step_ns": 0,
        "workers": 1,
    }
    return TimelineRow(**(numbers | content | changes))


def test_on_a_terminal_each_second_rewrites_one_line():
    screen = Terminal()
    progress = Progress(screen)
    progress.second(row(), 9.7, 65.0)
    progress.second(row(sent=52), 10.0, 64.0)
    progress.end()
    text = screen.getvalue()
    assert text.count("\n") == 1
    assert text.count("\r\x1b[K") == 2
    assert "smoke     sent 52  rate 10/10 per s  e2e p99 12 ms  backlog 3  1:04 left" in text


def test_on_a_terminal_an_event_stands_on_a_line_of_its_own():
    screen = Terminal()
    progress = Progress(screen)
    progress.second(row(), 10.0, None)
    progress.say("ending early")
    assert screen.getvalue().endswith("\r\x1b[Kending early\n")


def test_what_others_say_cannot_paint_over_the_line_or_forge_another():
    screen, log = Terminal(), io.StringIO()
    for stream in (screen, log):
        Progress(stream).say("worker w\x1b[2J\u202e\r was lost")
        Progress(stream).second(row("a\nb\x07"), 10.0, None)
    for text, controls in ((screen.getvalue(), 2), (log.getvalue(), 0)):
        assert text.count("\x1b") == text.count("\r") == controls
        assert "worker w\\x1b[2J\\u202e\\r was lost\n" in text
        assert "a\\nb\\x07" in text


def test_a_narrow_terminal_gets_no_more_than_a_line(monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    screen = Terminal()
    Progress(screen).second(row(), 10.0, 60.0)
    assert len(screen.getvalue().removeprefix("\r\x1b[K")) <= 29


def test_elsewhere_a_line_comes_with_each_phase_and_every_ten_seconds_without_control_characters():
    log = io.StringIO()
    progress = Progress(log)
    for number in range(25):
        progress.second(row("one" if number < 12 else "two"), 10.0, None)
    progress.end()
    lines = log.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == ["one", "one", "two", "two"]  # 1, 10, 13, 20
    assert all(re.match(r"\d\d:\d\d:\d\dZ ", line) for line in lines)
    assert "\r" not in log.getvalue()
    assert "\x1b" not in log.getvalue()


@pytest.mark.parametrize(
    ("left_s", "shown"), [(0, "0:00"), (-3, "0:00"), (59.4, "0:59"), (61, "1:01"), (3600, "1:00:00"), (7265, "2:01:05")]
)
def test_the_time_left_is_a_clock(left_s, shown):
    log = io.StringIO()
    Progress(log).second(row(), 10.0, left_s)
    assert f"  {shown} left" in log.getvalue()


def test_without_a_percentile_the_largest_is_shown_and_without_any_nothing():
    log = io.StringIO()
    Progress(log).second(row(e2e=LatencySummary(count=3, p50_ms=5.0, max_ms=20.0)), 10.0, None)
    Progress(log).second(row(e2e=LatencySummary(count=0), wanted_per_s=0.0), 0.0, None)
    first, second = log.getvalue().splitlines()
    assert "e2e max 20 ms" in first
    assert "e2e" not in second
    assert "rate" not in second


def test_in_a_gitlab_job_the_runs_lines_are_a_section_that_ends_before_the_verdict():
    log = io.StringIO()
    progress = Progress(log, {"GITLAB_CI": "true"})
    progress.say("run 1")
    progress.second(row(), 9.7, 65.0)
    progress.end()
    progress.say("judging")
    first, *lines, last, judging, nothing = log.getvalue().split("\n")
    assert re.fullmatch("\x1b\\[0Ksection_start:[0-9]{10}:mm2gate_run\r\x1b\\[0Kthe run, every 10 s", first)
    assert re.fullmatch("\x1b\\[0Ksection_end:[0-9]{10}:mm2gate_run\r\x1b\\[0K", last)
    assert len(lines) == 2
    assert judging.endswith("Z judging")
    assert nothing == ""


def test_anywhere_else_there_are_no_sections_and_no_escape_sequences():
    log = io.StringIO()
    progress = Progress(log, {})
    progress.say("run 1")
    progress.end()
    assert "section" not in log.getvalue()
    assert "\x1b" not in log.getvalue()
