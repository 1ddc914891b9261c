"""Answers that no server should give, as bytes on the wire. `ENDLESS` never end by themselves, `WRONG` do."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from threading import Event
from typing import BinaryIO

Raw = Callable[[BinaryIO, Event], None]
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
MIB = 1024**2


def said(*parts: bytes) -> Raw:
    """These bytes, and the end."""

    def write(wire: BinaryIO, _: Event) -> None:
        wire.writelines(parts)

    return write


def body(content: bytes, *headers: str, status: str = "200 OK") -> Raw:
    """A body of a right length under headers."""
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(content)}", *headers]
    return said("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content)


def for_ever(start: bytes, again: bytes, *, every_s: float = 0.0) -> Raw:
    """A start, and then the same again until nobody listens; with a pause, it drips."""

    def write(wire: BinaryIO, over: Event) -> None:
        wire.write(start)
        while not over.wait(every_s) if every_s else not over.is_set():
            wire.write(again)
            wire.flush()

    return write


def bomb(packed: bytes, packing: str) -> Raw:
    return body(packed, f"Content-Encoding: {packing}")


def packed_zeros(size_bytes: int, wrapper: int) -> bytes:
    packer = zlib.compressobj(9, wbits=wrapper)
    return b"".join([*(packer.compress(b"0" * MIB) for _ in range(size_bytes // MIB)), packer.flush()])


DRIP_S = 0.05
ENDLESS: dict[str, Raw] = {
    "a body that drips": for_ever(OK + b"Content-Length: 100000\r\n\r\n", b" ", every_s=DRIP_S),
    "chunks that drip": for_ever(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", every_s=DRIP_S),
    "a chunk's size that drips": for_ever(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0", every_s=DRIP_S),
    "headers that drip": for_ever(OK + b"X: ", b"x", every_s=DRIP_S),
    "a status line that drips": for_ever(b"HTTP/1.1 200 ", b"x", every_s=DRIP_S),
    "100 Continue for ever": for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n", every_s=DRIP_S),
    "nothing": for_ever(b"", b"", every_s=DRIP_S),
}
#: Neither do these, but they are over as soon as there is too much of them.
FLOODS: dict[str, Raw] = {
    "a body without end": for_ever(OK + b"\r\n", b" " * MIB),
    "chunks without end": for_ever(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n"),
    "trailers without end": for_ever(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 10_000),
    "a gzip bomb": bomb(packed_zeros(100 * MIB, 31), "gzip"),
    "a deflate bomb": bomb(packed_zeros(100 * MIB, 15), "deflate"),
}
WRONG: dict[str, Raw] = {
    "a chunk's line without end": for_ever(OK + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x" * MIB),
    "no HTTP": said(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "zeros": said(b"\0" * 1000),
    "the end": said(),
    "a status line alone": said(b"HTTP/1.1 200 OK\r\n"),
    "no number for a status": said(b"HTTP/1.1 abc OK\r\n\r\n"),
    "a status of 5 digits": said(b"HTTP/1.1 20000 OK\r\n\r\n"),
    "1000 headers": said(OK + b"X: y\r\n" * 1000 + b"\r\n{}"),
    "a header of 1 MiB": said(OK + b"X: " + b"y" * MIB + b"\r\n\r\n{}"),
    "headers that are none": said(b"HTTP/1.1 200 OK\r\n\x1b[2J\xff\r\n: \r\nX\r\n\r\n{}"),
    "two lengths": said(OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
    "a negative length": said(OK + b"Content-Length: -5\r\n\r\n{}"),
    "a length in words": said(OK + b"Content-Length: two\r\n\r\n{"),
    "a body cut short": said(OK + b"Content-Length: 100\r\n\r\n{"),
    "chunks cut short": said(OK + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{}"),
    "chunks of words": said(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"),
    "chunks of a negative size": said(OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n0\r\n\r\n"),
    "chunks of a size beyond all bounds": said(OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 100 + b"\r\n{}"),
    "a transfer of another kind": said(OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
    "gzip that is none": bomb(b"{}", "gzip"),
    "gzip cut short": bomb(gzip.compress(b'{"a": "' + b"x" * 10_000 + b'"}')[:40], "gzip"),
    "gzip twice": bomb(gzip.compress(gzip.compress(b"{}")), "gzip, gzip"),
    "brotli": bomb(b"\x0b\x01\x80{}\x03", "br"),
    "zstd": bomb(b"\x28\xb5\x2f\xfd", "zstd"),
    "a packing with an escape": bomb(b"{}", "\x1b[2J"),
    "a redirect": body(b"{}", "Location: http://u:secret@elsewhere.example/x?token=secret", status="302 Found"),
    "a redirect to itself": body(b"{}", "Location: /", status="307 Temporary Redirect"),
    "a redirect to nowhere": body(b"{}", "Location: http://[", status="301 Moved Permanently"),
    "a redirect to a file": body(b"{}", "Location: file:///etc/passwd", status="308 Permanent Redirect"),
    "a redirect without end": for_ever(
        b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", b" " * MIB
    ),
    "300": body(b"{}", status="300 Multiple Choices"),
    "304": said(b"HTTP/1.1 304 Not Modified\r\n\r\n"),
    "204": said(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "418": body(b"teapot", status="418 I'm a teapot"),
    "500": body(b'{"message": 5}', status="500 \x1b[2J"),
    "401": body(b"", "WWW-Authenticate: Basic", status="401 Unauthorized"),
    "407": body(b"", status="407 Proxy Authentication Required"),
    "an empty body": body(b""),
    "HTML": body(b"<html>\x1b[2J login</html>"),
    "half a letter": body(b'{"a": "\xff"}'),
    "UTF-16": body('{"a": 1}'.encode("utf-16")),
    "a charset that is a lie": said(b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=rot13\r\n\r\n{}"),
    "half a character": body(b'{"a": "\\ud800"}'),
    "NUL": body(b"\0" * 100),
    "NaN": body(b'{"a": NaN}'),
    "Infinity": body(b"[Infinity, -Infinity]"),
    "1e400": body(b'{"a": 1e400}'),
    "400 digits": body(b"9" * 400),
    "5000 digits": body(b"[" + b"9" * 5000 + b"]"),
    "a key twice": body(b'{"status": "success", "status": "error"}'),
    "900 deep": body(b"[" * 900 + b"]" * 900),
    "100 000 deep": body(b"[" * 100_000 + b"]" * 100_000),
    "100 000 objects deep": body(b'{"a":' * 100_000),
    "ten million values": body(b"[" + b"0," * 10_000_000 + b"0]"),
}  # fmt: skip
#: What a list of results may hold, and what may stand in its place.
RESULTS: list[object] = [
    *(None, 1, "x", {}, [], [None], [1], ["x"], [[]], [{}], [1, "NaN"], [1, "Infinity"], [1, {}], [None, None]),
    [{"metric": None, "values": []}],
    [{"metric": [], "values": [[1, "1"]]}],
    [{"metric": {"instance": 5, "task": None, "connector": []}, "values": [[1, "1"]]}],
    *([{"metric": {}, "values": values}] for values in (None, [1], [[1]], [[1, "x"]], [["x", "1"]], [[None, None]])),
    [{"metric": {}, "values": [[1e300, "1e300"], [-1e300, "-1"]]}],
    [{"metric": {}, "values": [[2, "1"], [1, "2"], [1, "3"]]}],
    [{"metric": {"__name__": "kafka_x"}, "values": [[1, "NaN"]], "histograms": []}],
    [{"metric": {"__name__": "\x1b[2J\u202e"}, "value": [1, "1"]}],
    *([{"metric": {}, "value": 1}], [{"value": [1, "1"]}], [{"metric": {"a": "b"}, "value": [1, "+Inf"]}]),
]
KINDS = ("matrix", "vector", "scalar", "string", "x", None)
CONNECTOR = "mm2-source-connector"
TASK = {"id": None, "state": None, "worker_id": {}, "trace": []}
#: JSON of every shape, most of it right JSON and no answer of anybody's.
SHAPES: list[object] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1.5,
        "",
        "x",
        "\x1b[2J\u202e",
        [],
        {},
        [None],
        [[]],
        [{}],
        {"": None},
        {"a": {}},
        2**63,
    ),
    *({"version": 1, "kafka_cluster_id": None}, {"version": ["x"], "kafka_cluster_id": "x"}, {"version": "4"}),
    *({"status": "success", **data} for data in ({}, {"data": None}, {"data": []}, {"data": {"result": []}})),
    *({"status": "success", "data": {"resultType": kind, "result": result}} for kind in KINDS for result in RESULTS),
    {"status": "success", "data": {"resultType": "matrix", "result": []}, "warnings": [1, {}, "\x1b"], "infos": {}},
    {"status": "success", "data": {"resultType": "matrix", "result": []}, "warnings": ["w" * 1000] * 1000},
    *({"status": "error"}, {"status": "error", "errorType": 5, "error": {"a": []}}, {"status": 5}, {"error": "x"}),
    {"connector": "x", "name": 5, "tasks": {}},
    {"name": "c", "connector": {"state": 5, "worker_id": None}, "tasks": [1]},
    {"name": "c", "connector": {"state": "RUNNING", "worker_id": "w"}, "tasks": [{"id": "0", "state": "RUNNING"}]},
    *({"offsets": offsets} for offsets in (None, [None], [{}], [{"partition": [], "offset": {}}])),
    {"offsets": [{"partition": {"topic": "t", "partition": "0"}, "offset": {"offset": 1}}]},
    {"offsets": [{"partition": {"topic": "t", "partition": 0}, "offset": {"offset": True}}]},
    {"offsets": [{"partition": {"topic": "t", "partition": 0}, "offset": [1]}]},
    *({CONNECTOR: content} for content in (5, [], {}, {"topics": 5}, {"topics": [5, None]})),
    *({CONNECTOR: {"status": status, "info": status}} for status in (None, [], {}, 5)),
    {CONNECTOR: {"status": {"connector": 5, "tasks": 5}, "info": {"config": []}}},
    {CONNECTOR: {"status": {"connector": {"state": {}, "worker_id": 5, "trace": 5}, "tasks": [{}]}}},
    {
        CONNECTOR: {
            "status": {"connector": {"state": "RUNNING", "worker_id": []}, "tasks": [TASK]},
            "info": {"config": {"tasks.max": [], "a": None}},
        }
    },
]


def json_body(content: object) -> Raw:
    return body(json.dumps(content).encode())
