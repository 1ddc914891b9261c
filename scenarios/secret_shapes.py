"""What a secret looks like in somebody else's text: a broker's sentence, a stack trace, a connector's configuration.

Only shapes that nothing else has are looked for. A secret without such a shape is known by its key
(`checks.redaction` keeps listed keys only) or by its value (`scenarios.secrets`). Pure.
"""

from __future__ import annotations

import re

HIDDEN = "(hidden)"

#: Names whose value is a secret, or a login; longest first, since the first that fits is taken.
_NAMES = (
    r"pass(?:word|wd|phrase|code)?|pwd|secret|credentials?|client[._-]?secret|sas[._-]?token|token|bearer"
    r"|api[._-]?key|access[._-]?key(?:[._-]?id)?|private[._-]?key|account[._-]?key|shared[._-]?key|session[._-]?key"
    r"|x-amz-(?:signature|credential|security-token)|sig(?:nature)?|user(?:[._-]?(?:name|info))?|login"
)
_KEYS = r"(?:api|access|private|account|shared|session)[._-]?key"
#: What stands behind such a name and its sign: all of a quoted text, or what goes on without a blank.
_VALUE = r"""\(hidden\)|\\"[^"\\]*\\"|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s"',;&)\]}]+"""
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|\Z)", re.DOTALL), HIDDEN),
    (re.compile(r"(?<=://)[^/?#@\s]+@"), f"{HIDDEN}@"),
    # A password may hold what a URL may not; but a port before a path is none.
    (re.compile(r"(?<=://)[^/?#@:\s]+:(?!\d{1,5}/)[^@\s]{1,200}@"), f"{HIDDEN}@"),
    (
        re.compile(r"""\b(jdbc:\w{1,30}(?::\w{1,30}){0,3}:)[^/@\n"'=?]{1,80}/(?:"[^"\n]*"|[^@\s"']+)@"""),
        rf"\1{HIDDEN}@",
    ),
    (re.compile(r"\b(authorization\s*[:=]\s*)(?:[\w-]+\s+)?[^\s,;\"']+", re.IGNORECASE), rf"\1{HIDDEN}"),
    # With a digit or a capital inside, unlike the word behind "basic" in "basic authentication".
    (re.compile(r"\b((?i:basic|bearer)\s+)(?=\S*(?:[0-9=+/]|[a-z][A-Z]))[A-Za-z0-9+/_.~-]{8,}=*"), rf"\1{HIDDEN}"),
    (re.compile(r"\bLoginModule\s+(?:required|requisite|sufficient|optional)\b[^;]*;?"), f"LoginModule {HIDDEN}"),
    (re.compile(rf"""((?:{_NAMES})["']?\s*=\s*)(?:{_VALUE})""", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(rf"""(["'][\w.-]*(?:{_NAMES})\\?["']\s*:\s*)(?:{_VALUE})""", re.IGNORECASE), rf"\1{HIDDEN}"),
    # With a colon and without quotes only what can be nothing but a secret: "User: not authorized" is a sentence, and
    # so is "token: expected a number".
    (re.compile(rf"""((?:pass(?:word|wd|phrase)|pwd|{_KEYS})\s*:\s*)(?:{_VALUE})""", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(rf"""((?:secret|token)\s*:\s*)(?=\S*\d)(?:{_VALUE})""", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(rf"((?:{_NAMES})\s*(?:->|=>|:=)\s*)(?:{_VALUE})", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(rf"(--?[\w.-]{{0,40}}(?:{_NAMES})\s+)(?!-)(?:{_VALUE})", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(rf"(<[\w.:-]{{0,40}}(?:{_NAMES})>)[^<]+(?=</)", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(rf"((?:{_NAMES})\s+(?:is|was|of)\s+)(?:\(hidden\)|'[^']*'|\"[^\"]*\")", re.IGNORECASE), rf"\1{HIDDEN}"),
    # As Kafka's ConfigException says it.
    (
        re.compile(
            rf"(Invalid value ).{{1,999}}?(?= for configuration \S{{0,99}}?(?:{_NAMES}))", re.IGNORECASE | re.DOTALL
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA)[0-9A-Z]{16}\b"), HIDDEN),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"), HIDDEN),
    (re.compile(r"\b(?:gh[oprsu]_[A-Za-z0-9]{30,}|glpat-[\w-]{20,}|xox[abprs]-[\w-]{10,}|hvs\.[\w-]{20,})"), HIDDEN),
)
#: Of base64 or hexadecimal digits without a break: no name, list or pattern of Kafka's goes on so long.
_LONG = re.compile(r"(?<![A-Za-z0-9+/=])[A-Za-z0-9+/]{40,}={0,2}(?![A-Za-z0-9+/=])")


def without_secrets(text: str) -> str:
    """The text, with what has the shape of a secret hidden; the same again when it is done twice."""
    for shape, instead in _SHAPES:
        text = shape.sub(instead, text)
    return _LONG.sub(lambda match: HIDDEN if _is_random(match[0]) else match[0], text)


def looks_secret(value: str) -> bool:
    """Whether any part of it has the shape of a secret."""
    return without_secrets(value) != value


def _is_random(text: str) -> bool:
    """Whether it mixes letters and digits as an encoded key does; a long word does not, nor does a path."""
    if text.count("/") > len(text) / 16:
        return False
    digits = any(character.isdigit() for character in text)
    mixed = any(character.isupper() for character in text) and any(character.islower() for character in text)
    hexadecimal = all(character in "0123456789abcdefABCDEF" for character in text)
    return digits and (mixed or hexadecimal)
