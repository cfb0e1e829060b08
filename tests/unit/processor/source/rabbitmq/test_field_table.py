"""Tables of headers: whatever bytes they are, and the same as pika reads where pika can read them."""

import struct
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

import pika
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import data

from stack.processor.source.rabbitmq.field_table import UNDECODED, decode_table, encode_table, split_table, to_text
from stack.processor.source.rabbitmq.properties import Properties

ORDINARY = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text()
    | st.binary()
    | st.none()
    | st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1)).map(lambda time: time.replace(microsecond=0, tzinfo=UTC))
    | st.decimals(-1000, 1000, places=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=20,
)


def by_pika(table: dict[str, Any]) -> bytes:
    pieces: list[bytes] = []
    data.encode_table(pieces, table)
    return b"".join(pieces)[4:]


def text(value: bytes) -> bytes:
    return b"S" + len(value).to_bytes(4) + value


@given(st.dictionaries(st.text(max_size=60), ORDINARY, max_size=8))
def test_ordinary_tables_are_read_as_pika_reads_them(table: dict[str, Any]) -> None:
    encoded = by_pika(table)
    assert decode_table(encoded) == data.decode_table(len(encoded).to_bytes(4) + encoded, 0)[0]
    assert b"".join(entry for _, entry in split_table(encoded)) == encoded


@given(st.binary(max_size=200))
def test_no_bytes_fail(table: bytes) -> None:
    decode_table(table)
    assert table.startswith(b"".join(entry for _, entry in split_table(table)))
    Properties().decode(table)


@given(st.binary(max_size=60), st.data())
def test_no_table_of_known_types_fails(rest: bytes, chosen: st.DataObject) -> None:
    kinds = chosen.draw(st.lists(st.sampled_from(b"tbBUsuIiLlfdDSxAFTVZ"), max_size=8))
    table = b"".join(b"\1a" + bytes((kind,)) + rest[: Random(kind).randrange(20)] for kind in kinds)
    decode_table(table)
    assert table.startswith(b"".join(entry for _, entry in split_table(table)))


@given(
    st.dictionaries(st.text(max_size=20) | st.binary(max_size=20), st.none() | st.integers() | st.floats(), max_size=5)
)
def test_what_we_write_can_be_read(table: dict[str | bytes, Any]) -> None:
    read = decode_table(encode_table(table.items()))
    assert len(read) <= len(table) and (UNDECODED not in read or UNDECODED in table)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (b"T" + struct.pack(">Q", 1_700_000_000), datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        (b"T" + struct.pack(">Q", 1_700_000_000_000), 1_700_000_000_000),
        (b"T" + b"\xff" * 8, 2**64 - 1),
        (b"d" + struct.pack(">d", 21.7), 21.7),
        (b"f" + struct.pack(">f", 0.5), 0.5),
        (b"D\xff" + struct.pack(">i", -1), Decimal(-1).scaleb(-255)),
        (text(b"\xff"), b"\xff"),
        (b"t\x07", True),
        (b"u\xff\xff", 65535),
        (b"l" + b"\xff" * 8, -1),
    ],
)
def test_odd_values_are_what_they_say(value: bytes, read: Any) -> None:
    assert decode_table(b"\1a" + value) == {"a": read}


def test_deep_tables_and_lists_are_bytes_from_some_depth_on() -> None:
    table, inner = b"\1aV", b""
    for _ in range(3000):
        table = b"\1aF" + len(table).to_bytes(4) + table
        inner = b"A" + len(inner).to_bytes(4) + inner
    for found in (decode_table(table)["a"], decode_table(b"\1b" + inner)["b"]):
        depth = 0
        while not isinstance(found, bytes):
            found = found["a"] if isinstance(found, dict) else found[0]
            depth += 1
        assert depth == 64


def test_many_values_stay_bytes_in_the_end() -> None:
    many = b"\1aA" + (20_000).to_bytes(4) + b"V" * 20_000
    assert decode_table(many) == {"a": b"V" * 20_000}
    assert decode_table(b"\1bV" * 30_000)[UNDECODED] == b"\1bV" * 20_000


def test_rest_of_a_table_that_cannot_be_read_is_kept() -> None:
    assert decode_table(b"\1at\1\1bZ\1cV") == {"a": True, UNDECODED: b"\1bZ\1cV"}
    assert decode_table(b"\1bF\0\0\0\3\1aZ\1cV") == {"b": b"\1aZ", "c": None}


@pytest.mark.parametrize("value", ["\ud800", b"\xff", 3, None])
def test_any_value_is_text_that_can_be_encoded(value: Any) -> None:
    to_text(value).encode()


FIELDS: dict[str, Any] = {
    "content_type": "text/plain", "content_encoding": "gzip", "delivery_mode": 2, "priority": 9, "correlation_id": "c",
    "reply_to": "r", "expiration": "60", "message_id": "m", "timestamp": 1_700_000_000, "type": "t", "user_id": "u",
    "app_id": "a", "cluster_id": "z",
}  # fmt: skip


def test_pika_reads_properties_by_ours() -> None:
    """The one hook into pika: the table of what reads the properties of a class."""
    headers = {"a": 1, "b": [{"c": "d"}]}
    frame = pika.frame.Header(1, 5, pika.BasicProperties(headers=headers, **FIELDS)).marshal()
    _, found = pika.frame.decode_frame(frame)
    assert type(found.properties) is Properties
    assert {name: getattr(found.properties, name) for name in FIELDS} == FIELDS
    assert found.properties.headers == headers
    assert pika.frame.Header(1, 5, found.properties).marshal() == frame
    assert isinstance(found.properties, pika.BasicProperties)


def test_properties_that_are_not_there_are_none() -> None:
    found = Properties().decode(b"\0\0")
    assert {getattr(found, name) for name in (*FIELDS, "headers", "raw_headers")} == {None}


def test_properties_that_cannot_be_read_are_kept() -> None:
    assert Properties().decode(b"\x80\x00\x09text").headers == {UNDECODED: b"\x80\x00\x09text"}
    assert Properties().decode(b"").headers == {UNDECODED: b""}
