"""What is collected of a message comes out again as it came, and is counted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gatepost_milter.editing.headers import Header
from gatepost_milter.transaction import Transaction

# A name ends with its line at the latest, so no line feed is in one.
_NAMES = st.text(st.characters(exclude_categories=(), exclude_characters="\n"), max_size=5).map(
    lambda text: text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
)


@given(st.lists(st.tuples(_NAMES, st.binary(max_size=5)), max_size=8), st.lists(st.binary(max_size=5)))
def test_header_and_body_come_out_as_they_came(fields: list[tuple[str, bytes]], chunks: list[bytes]) -> None:
    transaction = Transaction("gp1", b"<a@example.test>")
    for name, value in fields:
        transaction.add_header(name, value)
    for chunk in chunks:
        transaction.add_body(chunk)
    raw = [(name.encode("utf-8", "surrogateescape"), value) for name, value in fields]
    lines = [name + b":" + value.replace(b"\n", b"\r\n") + b"\r\n" for name, value in raw]
    on_the_wire = b"".join(lines) + b"".join(chunks)
    assert transaction.size == len(on_the_wire)
    message = transaction.message()
    assert message.headers == tuple(Header(*field) for field in raw)
    assert all(header.name == name for header, (name, _) in zip(message.headers, raw, strict=True))
    assert message.body == b"".join(chunks)
    assert transaction.size == len(on_the_wire)
