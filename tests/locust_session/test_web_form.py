"""What the web UI's form may send: known names and a factor, or one sentence that a terminal can show."""

from __future__ import annotations

import re

import pytest

from locust_session.web_form import OURS, Known, wanted
from scenarios.errors import Mm2gateError
from scenarios.plan import load_plan
from scenarios.visible import HIDDEN
from tests.scenarios.hostile import RAW, WORDS

NOW = {"scenario": "phase1_smoke", "env": "desk", "rehearsal": "1"}
KNOWN = Known(scenarios=("phase1_smoke",), environments=("desk",))


@pytest.mark.parametrize("field", [*OURS, "a field of nobody's"])
def test_a_form_of_any_text_is_known_names_or_one_sentence(field):
    for word in (*WORDS, *RAW):
        form = {word: "x"} if field not in OURS else {field: word}
        try:
            chosen = wanted(form, KNOWN, NOW)
            assert (chosen["scenario"], chosen["env"]) == ("phase1_smoke", "desk")
            load_plan(chosen["scenario"], "no environment", rehearsal=chosen["rehearsal"])
        except Mm2gateError as error:
            sentences = str(error)
        assert not re.search(f"[{HIDDEN}]", sentences.replace("\n", ""))
        assert len(sentences) < 2000
