"""Transfer encodings: what is spliced decodes to the spliced text, and untouched lines stay."""

from __future__ import annotations

import base64
import binascii
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_milter.editing.edits import Edit, OverlapError, ordered, splice
from gatepost_milter.parts.charsets import CharsetError, byte_ranges, decode, insertions
from gatepost_milter.parts.transfer import TransferError, open_part, spliced, to_quoted_printable

TEXTS = st.text(
    alphabet=st.sampled_from("ab =é€\t<>.\"'-\U0001f600")
    | st.characters(codec="utf-8", exclude_characters="\r\n"),
    max_size=200,
)


def byte_edits(data: bytes, text: str, codec: str, edits: list[Edit[str]]) -> list[Edit[bytes]]:
    """Return edits of a text as edits of its bytes, as the features' places and texts are written."""
    ranges = byte_ranges(data, text, codec, [(start, end) for start, end, _ in edits])
    new = insertions([what for _, _, what in edits], codec)
    return [(start, end, what) for (start, end), what in zip(ranges, new, strict=True)]


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, list[Edit[str]]]:
    """A text of several lines and edits that do not overlap; insertions hold no line end."""
    text = "\n".join(draw(st.lists(TEXTS, min_size=1, max_size=6)))
    places = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    edits = [
        (start, end if draw(st.booleans()) else start, draw(TEXTS))
        for start, end in zip(places[::2], places[1::2], strict=False)
    ]
    return text, ordered(edits, len(text))


def expected(text: str, edits: list[Edit[str]]) -> str:
    return splice(
        text, [(start, end, new.encode("ascii", "xmlcharrefreplace").decode()) for start, end, new in edits]
    )


def encoded(data: bytes, encoding: str) -> bytes:
    if encoding == "base64":
        return base64.encodebytes(data).replace(b"\n", b"\r\n")
    if encoding == "quoted-printable":
        return binascii.b2a_qp(data, istext=True).replace(b"\n", b"\r\n")
    return data


def decoded(raw: bytes, encoding: str) -> bytes:
    if encoding == "base64":
        return base64.b64decode(raw)
    if encoding == "quoted-printable":
        return quopri.decodestring(raw.replace(b"\r\n", b"\n"))
    return raw


@pytest.mark.parametrize("encoding", ["8bit", "quoted-printable", "base64"])
@given(case=cases())
def test_decoding_the_spliced_part_gives_the_spliced_text(
    encoding: str, case: tuple[str, list[Edit[str]]]
) -> None:
    text, edits = case
    raw = encoded(text.encode(), encoding)
    part = open_part(encoding, raw)
    back, codec = decode(part.decoded, "utf-8")
    assert back == text
    assert spliced(part, []) == raw
    after = spliced(part, byte_edits(part.decoded, text, codec, edits))
    assert decoded(after, encoding) == expected(text, edits).encode()
    if encoding != "8bit":
        assert max(map(len, after.split(b"\r\n"))) <= 76


@pytest.mark.parametrize("encoding", ["8bit", "quoted-printable", "base64"])
@given(case=cases(), others=st.lists(st.lists(TEXTS, min_size=8, max_size=8), max_size=3))
def test_places_that_were_written_before_are_written_alike(
    encoding: str, case: tuple[str, list[Edit[str]]], others: list[list[str]]
) -> None:
    text, edits = case
    part = open_part(encoding, encoded(text.encode(), encoding))
    edits_in_bytes = byte_edits(part.decoded, text, "utf-8", edits)
    new = [what for _, _, what in edits_in_bytes]
    places = part.at([(start, end) for start, end, _ in edits_in_bytes])
    for other in others:  # other texts in the same places, some of them as they were
        mixed = [one.encode() if len(one) % 2 else same for one, same in zip(other, new, strict=False)]
        once = open_part(encoding, encoded(text.encode(), encoding))
        pairs = zip(edits_in_bytes, mixed, strict=True)
        fresh = spliced(once, [(start, end, what) for (start, end, _), what in pairs])
        assert places.written(mixed, lambda texts: texts) == fresh
    assert places.written(new, lambda texts: texts) == spliced(part, edits_in_bytes)


@given(case=cases(), breaks=st.lists(st.integers(0, 300), max_size=12))
def test_of_quoted_printable_the_lines_alone_that_were_edited_are_broken_anew(
    case: tuple[str, list[Edit[str]]], breaks: list[int]
) -> None:
    """Whatever the program broke its lines at: those without an edit are there as they were, in order."""
    text, edits = case
    raw = oddly_broken(binascii.b2a_qp(text.encode(), istext=True), breaks)
    part = open_part("quoted-printable", raw)
    places = byte_edits(part.decoded, text, "utf-8", edits)
    after = spliced(part, places)
    assert decoded(after, "quoted-printable") == expected(text, edits).encode()
    touched = {
        number
        for number, (start, end) in enumerate(line_spans(raw))
        for first, last, _ in places
        if start <= last and first <= end
    }
    left = iter(after.split(b"\n"))
    kept = [line for number, line in enumerate(raw.split(b"\n")) if number not in touched]
    assert all(line in left for line in kept)


def oddly_broken(raw: bytes, breaks: list[int]) -> bytes:
    """Put soft line breaks where no program would, but none within an escape."""
    for at in breaks:
        if at <= len(raw) and b"=" not in raw[max(at - 2, 0) : at]:
            raw = raw[:at] + b"=\n" + raw[at:]
    return raw


def line_spans(raw: bytes) -> list[tuple[int, int]]:
    """Return where each encoded line begins and ends in what the whole means."""
    spans: list[tuple[int, int]] = []
    place = 0
    for line in raw.split(b"\n"):
        size = len(line) - 2 * (line.count(b"=") - line.endswith(b"=")) - line.endswith(b"=")
        spans.append((place, place + size))
        place += size + (not line.endswith(b"="))
    return spans


def test_quoted_printable_lines_without_an_edit_stay_as_they_were_encoded() -> None:
    raw = b"one =3d=41 lower case kept\r\ntwo =\r\nthree\r\nfour\r\n"
    part = open_part("quoted-printable", raw)
    at = part.decoded.index(b"hree")
    assert spliced(part, [(at, at, b"x=y ")]) == raw.replace(b"three", b"tx=3Dy hree")


@pytest.mark.parametrize(
    ("encoding", "raw"),
    [
        ("quoted-printable", b"a=zz"),
        ("quoted-printable", b"a=="),
        ("quoted-printable", b"a="),
        ("quoted-printable", b"a\r\nb\nc=20"),
        ("base64", b"YWJj\r\nYW\r\nYWJj\r\n"),
        ("base64", b"YWJj!YWJj"),
        ("x-uuencode", b"begin"),
    ],
)
def test_what_could_not_be_written_back_the_same_is_refused(encoding: str, raw: bytes) -> None:
    with pytest.raises(TransferError):
        open_part(encoding, raw)


@given(st.text(max_size=3000))
def test_a_part_made_quoted_printable_decodes_to_what_it_was(text: str) -> None:
    data = text.replace("\r", "").replace("\n", "\r\n").encode("utf-8", "replace")
    raw = to_quoted_printable(data)
    assert quopri.decodestring(raw.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n") == data
    assert max(map(len, raw.split(b"\r\n"))) <= 76


@pytest.mark.parametrize(
    "charset",
    ["iso-8859-1", "windows-1252", "shift_jis", "gb2312", "iso-2022-jp", "euc-kr", "koi8-r", "big5"],
)
def test_edits_find_their_place_in_any_charset(charset: str) -> None:
    sample = {
        "shift_jis": "日本",
        "iso-2022-jp": "日本",
        "gb2312": "中文",
        "big5": "中文",
        "euc-kr": "한국",
        "koi8-r": "мир",
    }
    text = f"<p>{sample.get(charset, 'café')}</p><a href=x>{sample.get(charset, 'né')}"
    data = text.encode(charset)
    back, codec = decode(data, charset)
    at = text.index("x>")
    after = splice(data, byte_edits(data, back, codec, [(3, 3, "é"), (at, at + 1, "y")]))
    assert after.decode(charset) == text.replace("<p>", "<p>&#233;").replace("x>", "y>")


@pytest.mark.parametrize(
    ("data", "charset"),
    [(b"\xff", "utf-8"), (b"\xe9", "us-ascii"), (b"\xe9", None), (b"a", "klingon"), (b"a", "punycode")],
)
def test_text_that_is_not_what_its_charset_says_is_refused(data: bytes, charset: str | None) -> None:
    with pytest.raises(CharsetError):
        decode(data, charset)


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
def test_utf16_is_read_by_its_byte_order_mark_which_stays(order: str) -> None:
    data = "\ufeff<a>é".encode(order)
    text, codec = decode(data, "UTF-16")
    assert (text, codec) == ("\ufeff<a>é", order)
    after = splice(data, byte_edits(data, text, codec, [(2, 3, "bc")]))
    assert after == "\ufeff<bc>é".encode(order)
    with pytest.raises(CharsetError, match="without a byte order mark"):
        decode(data[2:], "utf-16")


def test_a_bare_cr_in_quoted_printable_is_a_character_and_a_bare_lf_among_crlfs_is_not() -> None:
    raw = b"a\rb =3D c\r\n=\r\nd\r\r\n" + b"x" * 75 + b"\r\n"
    part = open_part("quoted-printable", raw)
    assert part.decoded == b"a\rb = c\nd\r\n" + b"x" * 75 + b"\n"
    assert spliced(part, []) == raw
    after = spliced(part, [(4, 5, b"=="), (20, 20, b"yy")])
    assert (
        open_part("quoted-printable", after).decoded
        == b"a\rb == c\nd\r\n" + b"x" * 9 + b"yy" + b"x" * 66 + b"\n"
    )
    assert after.startswith(b"a\rb =3D=3D c\r\n=\r\nd\r\r\n")
    with pytest.raises(TransferError, match="mixed line ends"):
        open_part("quoted-printable", b"a\r\nb\nc\rd")


@pytest.mark.parametrize(
    "edits", [[(0, 2, ""), (1, 3, "")], [(1, 1, "a"), (1, 1, "b")], [(0, 9, "")], [(2, 1, "")]]
)
def test_edits_that_overlap_or_reach_outside_are_a_fault(edits: list[Edit[str]]) -> None:
    with pytest.raises(OverlapError):
        ordered(edits, 5)
