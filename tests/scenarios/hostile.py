"""Files that nobody would write: mutations of a right one, each told by its seed.

`Mutator(seed).structure(content)` bends a file's content as a tree (keys and values removed, doubled, renamed, moved,
replaced by what no key can mean, aliases, merges, nests) and writes it as YAML; `Mutator(seed).bytes(text)` bends its
bytes.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Raw:
    """A piece of YAML, written as it is."""

    text: str


BOMB = "[" + ", ".join(f"&b{n} [{', '.join([f'*b{n - 1}' if n else 'x'] * 9)}]" for n in range(9)) + "]"
MERGES = [f"&m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 9)}], k{n}: 1}}" for n in range(1, 9)]
MERGE_BOMB = f"[&m0 {{a: 1}}, {', '.join(MERGES)}]"
RAW = (
    "", "~", "null", "true", "no", "0", "-1", "1", "2", "1.5", "-0.0", "1e3", "1e400", "-1e400", ".inf", "-.inf",
    ".nan", "9" * 19, "9" * 400, "9" * 5000, "-" + "9" * 400, "0x" + "f" * 300, "1" + "0" * 300, "0b1", "0o17",
    "017", "1_000", "2026-01-01", "2026-02-30", "2026-99-99", "2026-01-01T25:61:61Z", "0000-00-00", "12:30",
    "1:2:3:4", "!!python/object:os.system {}", "!!python/object/apply:os.system ['true']", "!!timestamp words",
    "!!binary '!'", "!!float words", "!!int words", "!!bool words", "!!null words", "!!set {a, b}", "!!omap [a: 1]",
    "!!str 5", "! 5", "!!pairs [a: 1]", "!local x", "!<tag:x> y", "!!map []", "!!seq {}", "[]", "{}", "[[]]", "[{}]",
    "{a: {}}", "{? a}", "*nowhere", "&a *a", "&a [*a]", "&a {a: *a}", "{<<: 5}", "{<<: [5, {a: 1}]}",
    "{<<: {a: 1}, <<: {b: 2}}", "{a: 1, a: 2}", BOMB, MERGE_BOMB, "[" * 40 + "]" * 40, "[" * 100_000 + "]" * 100_000,
    "{a: " * 5000 + "1" + "}" * 5000, "[" * 30_000, "- - - - -", "? ? ? ?", "[" + "1, " * 30_000 + "]",
    "{" + ", ".join(f"k{n}: 1" for n in range(3000)) + "}", "'" + "x" * 300_000 + "'", "\"" + "\\0" * 50 + "\"",
    "\"\\e[2J\\a\"", "\"\\ud800\"", "\"\\U0001F600\"", "%s", "'%s%n%x'",
)  # fmt: skip
WORDS = (
    "", " ", "\t", "\n", "\r\n", "\0", "a\0b", "\x1b[31m", "\x9b31m", "\u202eabc", "\u2066x\u2069", "\u2028",
    "\ufeff", "\U000e0041", "é" * 300, "\U0001f600", "a" * 250, "a" * 10_000, ".", "..", "../../etc/passwd", "/",
    "/dev/zero", "/dev/stdin", "~nobody/x", "{prefix}", "{n}", "{topic}", "{prefix}{n}{n}", "{0.__class__}",
    "{n.__class__.__init__.__globals__}", "{n:999999999d}", "{n:>99999999}", "{prefix!r:>9999}", "{}", "{", "}}",
    "%s%n", "${x}", "${", "${" * 500, "$" * 500, "@x", "::error::x", "<script>", "a|b`c`", "source.{topic}{topic}",
    "{topic}" * 30, "a b", "a/b", "a.b_c", "-1s", "0s", "1s", "1e9s", "1e400s", "nan", "inf s", "9" * 400 + "s",
    "0." + "0" * 300 + "1s", "9" * 18 + "/s", "1_0__0s", "100 % of 10/s", "9" * 50 + " % of 1/s", "1KB",
    "99999999999999999999GiB", "0.3KB", "5h", "1ns", "400d", "< 1 ms", "== plan records", "1..0 ms", "never",
    "> " + "9" * 400 + " ms", "<= baseline + max(50 %, 20 ms)", "<= baseline + max(0 %, 0 ms)",
    "<= baseline + max(" + "9" * 300 + " %, 20 ms)", "silence", "nominal", "ramp", "burst", "spike", "soak", "steps",
    "drain", "watch", "prepare", "ledger.lost", "mm2.latency_max", "capacity.confirmed", "rates.send", "http://",
    "http://[", "http://a:99999999", "http://u:p@h", "file:///etc/passwd", "https://x/" + "y" * 5000,
    "http://\u202e", "**/*", "/**/*.json", "[", "*" * 200, "[!", "SASL_SSL", "PLAIN", "^a$", "(a+)+$",
)  # fmt: skip
BYTES = (
    b"\0", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\xc3", b"\xed\xa0\x80", b"\x1b[2J", b"\x9b", b"\xc2\x9b",
    b"\xe2\x80\xae", b"\xe2\x80\xa8", b"\t", b"\r", b"\r\n", b"\n", b" ", b"---\n", b"...\n", b"%YAML 1.1\n",
    b"%TAG ! x\n", b"&a ", b"*a ", b"!!x ", b"? ", b": ", b"- ", b"[", b"]", b"{", b"}", b"'", b'"', b"#", b"|",
    b">", b"<<: ", b"@", b"`", b",", b"\\", b"${", b"}",
)  # fmt: skip


class Mutator:
    """One case."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def structure(self, content: Any) -> str:
        """The content as YAML, with one to four mutations."""
        tree = json.loads(json.dumps(content))
        for _ in range(self._random.choice((1, 1, 2, 4))):
            tree = self._mutated(tree)
        text = written(tree)
        return text[1:-1] if text.startswith("{") and self._random.random() < 0.02 else text

    def bytes(self, text: str) -> bytes:
        """The text as bytes, with one to six mutations."""
        content = bytearray(text.encode())
        for _ in range(self._random.randint(1, 6)):
            at, other = (self._random.randrange(len(content) + 1) for _ in range(2))
            match self._random.randrange(7):
                case 0:
                    content[at:at] = self._random.choice(BYTES)
                case 1:
                    del content[at : at + self._random.choice((1, 1, 5, 50))]
                case 2:
                    content[at : at + 1] = bytes([self._random.randrange(256)])
                case 3:
                    content[at:at] = content[min(at, other) : max(at, other)]
                case 4:
                    content[at:at] = self._random.choice(BYTES) * self._random.choice((1, 10, 1000))
                case 5:
                    del content[at:]
                case _:
                    content[at:at] = self._random.choice(WORDS).encode()
            if not content:
                return b""
        return bytes(content)

    def word(self) -> str:
        """Something that an option may be given."""
        return self._random.choice((*WORDS, *RAW))

    def _mutated(self, tree: Any) -> Any:
        places = list(_places(tree))
        parent, key = self._random.choice(places)
        value = parent[key]
        match self._random.randrange(11):
            case 0 | 1 | 2:
                parent[key] = self._hostile()
            case 3:
                del parent[key]
            case 4 if isinstance(parent, dict):
                parent[self._random.choice(WORDS)[:2000] or "x"] = parent.pop(key)
            case 5 if isinstance(parent, dict):
                parent[f"{key}\0again"] = value  # written as the same key once more
            case 5:
                parent[key:key] = [value] * self._random.choice((1, 3, 300))
            case 6:
                other, at = self._random.choice(places)
                parent[key] = json.loads(json.dumps(other[at], default=str))
            case 7:
                parent[key] = self._random.choice(([value], {str(key): value}, [[value]], {"<<": value}, {"en": value}))
            case 8 if isinstance(parent, dict):
                parent.update(
                    {f"{self._random.choice(('x', key))}{n}": 1 for n in range(self._random.choice((1, 300)))}
                )
            case 9 if not isinstance(value, Raw):
                parent[key] = Raw(f"&a {written(value)}")
                other, at = self._random.choice(places)
                if other is not parent:
                    other[at] = Raw("*a")
            case _:
                parent[key] = self._hostile()
        return tree

    def _hostile(self) -> Any:
        return Raw(self._random.choice(RAW)) if self._random.random() < 0.5 else self._random.choice(WORDS)


def _places(tree: Any) -> Any:
    """Every (parent, key) in a tree."""
    for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
        yield tree, key
        if isinstance(tree[key], (dict, list)) and tree[key]:
            yield from _places(tree[key])


def written(tree: Any) -> str:
    """The tree as YAML in flow style."""
    if isinstance(tree, Raw):
        return tree.text
    if isinstance(tree, dict):
        return (
            "{"
            + ", ".join(
                f"{json.dumps(key.removesuffix(chr(0) + 'again'))}: {written(one)}" for key, one in tree.items()
            )
            + "}"
        )
    if isinstance(tree, list):
        return "[" + ", ".join(map(written, tree)) + "]"
    return json.dumps(tree)
