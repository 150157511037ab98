"""Which parts are edited, which are left as they came, and what the plan says about it."""

from __future__ import annotations

import email
import email.policy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost_core.domain import in_force
from gatepost_core.domain.features import DEFAULTS
from gatepost_milter.editing.headers import AddHeader, ChangeHeader, Header, calls
from gatepost_milter.editing.message import Message, Plan, render
from gatepost_milter.pipeline import process, untouched
from gatepost_milter.surgery.context import Context

from .making import PREFIX, click, html_message, message, plan_of

LINK = '<a href="https://x.test/p">t</a>'
TRACKED = f'<a href="{PREFIX}/p">t</a>'


def multipart(*parts: str, kind: str = "mixed") -> Message:
    body = "".join(f"--B\n{part}\n" for part in parts)
    return message(
        f'From: a@example.test\nContent-Type: multipart/{kind}; boundary="B"\n\npre\n{body}--B--\nepi\n'
    )


def html(content: str = LINK, header: str = "") -> str:
    return f"Content-Type: text/html; charset=utf-8\n{header}\n{content}"


_FIELDS = st.lists(
    st.tuples(
        st.sampled_from([b"From", b"X-Long", b"x" * 30_000, b"DKIM-Signature", b"\xff"]),
        st.sampled_from(
            [b"", b" a@example.test", b"y" * 29_000, b"z" * 57_940, b"z" * 57_945, b"z" * 60_000]
        ),
    ),
    max_size=6,
)


@given(_FIELDS)
def test_a_message_that_asks_for_nothing_takes_the_short_way_to_the_same_end(
    fields: list[tuple[bytes, bytes]],
) -> None:
    plain = Message(tuple(Header(*field) for field in fields), b"text\r\n")
    assert untouched(plain) == process(plain, Context(features=DEFAULTS))


@pytest.mark.parametrize("features", [(), ("trackclicks",)])
def test_a_header_field_so_long_that_postfix_cuts_it_is_noted(features: tuple[str, ...]) -> None:
    head = "From: a@example.test\nContent-Type: text/html\n"
    fits = "X-Long:" + "x" * (57_952 - len("X-Long:"))
    assert plan_of(message(f"{head}{fits}\n\n{LINK}"), *features).notes == ()
    note = plan_of(message(f"{head}{fits}x\n\n{LINK}"), *features).notes
    assert len(note) == 1
    assert note[0].startswith("X-Long has 57953 bytes and may have been cut: ")


def test_only_the_html_part_changes() -> None:
    msg = multipart("Content-Type: text/plain\n\nhttps://x.test/p", html(), "Content-Type: image/png\n\nx")
    plan = plan_of(msg, "trackclicks")
    assert plan.body == msg.body.replace(LINK.encode(), TRACKED.encode())


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (html(header="Content-Disposition: attachment; filename=a.html\n"), "part 1 is an attachment"),
        (
            "Content-Type: message/rfc822\n\nContent-Type: text/html\n\n" + LINK,
            "part 1 is an embedded message",
        ),
        ("Content-Type: text/x-amp-html\n\n" + LINK, "part 1 is AMP"),
        ("Content-Type: text/calendar\n\n" + LINK, "part 1 is a calendar entry"),
        ("Content-Type: application/pkcs7-mime\n\n" + LINK, "part 1 is S/MIME"),
        ("Content-Type: multipart/signed; boundary=C\n\n--C\n" + html() + "\n--C--", "part 1.1 is signed"),
        (
            "Content-Type: multipart/encrypted; boundary=C\n\n--C\n" + html() + "\n--C--",
            "part 1.1 is encrypted",
        ),
        (html("-----BEGIN PGP MESSAGE-----" + LINK), "HTML part 1 holds inline PGP"),
        (html(header="Content-Type: text/html\n"), "part 1 has a Content- header field twice"),
        (
            html(header="Content-Transfer-Encoding: x-odd\n"),
            "HTML part 1 has an unknown transfer encoding 'x-odd'",
        ),
        (
            "Content-Type: text/html; charset=klingon\n\n" + LINK,
            "HTML part 1 has an unknown charset 'klingon'",
        ),
        ("Content-Type: text/html\nno colon\n\n" + LINK, "part 1 has a malformed header"),
        ("Content-Type: multipart/mixed\n\n--C\n" + html(), "part 1 is multipart and has no boundary"),
        ("Content-Type: text/plain\n\n" + LINK, "no HTML part"),
    ],
)
def test_what_must_not_be_touched_passes_untouched_with_a_reason(part: str, reason: str) -> None:
    plan = plan_of(multipart(part), "trackclicks")
    assert plan.body is None
    assert reason in plan.skipped["trackclicks"]


def test_a_part_that_cannot_be_decoded_does_not_keep_others_from_being_edited() -> None:
    msg = multipart(html(), html("BAD" + LINK))
    msg = Message(msg.headers, msg.body.replace(b"BAD", b"\xff"))
    plan = plan_of(msg, "trackclicks")
    assert plan.body == msg.body.replace(LINK.encode(), TRACKED.encode(), 1)
    assert plan.applied == ("trackclicks",)
    assert plan.skipped == {"trackclicks": "HTML part 2 cannot be decoded as utf-8"}


def test_mail_with_a_dkim_signature_of_its_own_is_left_alone() -> None:
    msg = html_message(LINK)
    msg = Message((*msg.headers, Header(b"DKIM-Signature", b" v=1")), msg.body)
    plan = plan_of(msg, "trackclicks", "inlinecss")
    assert plan.body is None
    assert plan.skipped["trackclicks"] == "the message carries a DKIM signature of its own"


def test_without_a_click_domain_links_stay_and_the_plan_says_why() -> None:
    plan = process(html_message(LINK), Context(in_force({"trackclicks": True, "preventscam": True})))
    assert isinstance(plan, Plan)
    assert plan.body is None
    assert plan.skipped["trackclicks"] == "no click domain for the From domain"


@pytest.mark.parametrize("header", ["", "Content-Transfer-Encoding: 8bit\n"])
def test_a_line_that_grows_past_998_bytes_makes_its_part_quoted_printable(header: str) -> None:
    msg = multipart(html("é" + LINK + "x" * 960, header))
    plan = plan_of(msg, "trackclicks")
    raw = render(msg, plan)
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    part = next(email.message_from_bytes(raw, policy=email.policy.SMTP).iter_parts())
    assert part["Content-Transfer-Encoding"] == "quoted-printable"
    assert part.get_content().rstrip() == "é" + TRACKED + "x" * 960


def test_the_messages_own_transfer_encoding_is_changed_through_its_header() -> None:
    msg = html_message(LINK + "x" * 990)
    assert calls(plan_of(msg, "trackclicks").headers) == (
        ChangeHeader(b"Content-Transfer-Encoding", 1, b" quoted-printable"),
        AddHeader(b"MIME-Version", b" 1.0"),
    )


def test_a_fault_in_a_feature_lets_the_message_pass_untouched_and_is_noted() -> None:
    def broken(*_: str) -> str:
        raise RuntimeError("token library is broken")

    plan = process(html_message(LINK), Context(in_force({"trackclicks": True}), broken))
    assert isinstance(plan, Plan)
    assert (plan.body, plan.applied) == (None, ())
    assert plan.skipped == {"trackclicks": "internal error"}
    assert "token library is broken" in plan.notes[0]


def test_a_message_that_would_outgrow_the_limit_passes_with_fewer_edits_or_none() -> None:
    msg = html_message("<style>a{color:red;background:blue;margin:1px 2px 3px 4px}</style>" + LINK)
    features = in_force({"trackclicks": True, "inlinecss": True})
    whole = len(render(msg, Plan()))
    fewer = process(msg, Context(features, click, queue_size_limit=whole + 40))
    none = process(msg, Context(features, click, queue_size_limit=whole + 1))
    assert isinstance(fewer, Plan)
    assert isinstance(none, Plan)
    assert fewer.applied == ("trackclicks",)
    assert fewer.skipped == {"inlinecss": f"the message would grow past {whole + 40} bytes"}
    assert none.body is None
    assert set(none.skipped) == {"trackclicks", "inlinecss"}


def test_a_message_above_the_edit_limit_passes_untouched_with_the_reason() -> None:
    msg = html_message(LINK)
    whole = len(render(msg, Plan()))
    features = in_force({"trackclicks": True})
    edited = process(msg, Context(features, click, edit_size_limit=whole))
    untouched = process(msg, Context(features, click, edit_size_limit=whole - 1))
    assert isinstance(edited, Plan)
    assert isinstance(untouched, Plan)
    assert edited.applied == ("trackclicks",)
    assert untouched.body is None
    assert untouched.skipped == {"trackclicks": f"the message has more than {whole - 1} bytes"}


def test_a_link_that_the_rewriter_declines_stays() -> None:
    plan = process(html_message(LINK), Context(in_force({"trackclicks": True}), lambda *_: None))
    assert isinstance(plan, Plan)
    assert plan.body is None


def test_a_thousand_broken_parts_make_a_short_reason() -> None:
    plan = plan_of(multipart(*["no header here"] * 1500), "trackclicks")
    assert plan.body is None
    assert plan.skipped["trackclicks"].endswith("; and more parts")
    assert len(plan.skipped["trackclicks"]) < 300


def test_html_beyond_a_megabyte_is_left_alone() -> None:
    plan = plan_of(html_message(LINK + "x" * 1024 * 1024), "trackclicks")
    assert (plan.body, plan.skipped) == (None, {"trackclicks": "the HTML body has more than 1048576 bytes"})


def test_nesting_and_part_counts_beyond_reason_leave_the_rest_untouched() -> None:
    deep = html()
    for level in range(40):
        deep = f"Content-Type: multipart/mixed; boundary=L{level}X\n\n--L{level}X\n{deep}\n--L{level}X--"
    plan = plan_of(multipart(deep), "trackclicks")
    assert plan.body is None
    assert "nested more than" in plan.skipped["trackclicks"]
    many = plan_of(multipart(html(), *["\nx"] * 3000), "trackclicks")
    assert many.applied == ("trackclicks",)


PIECES = st.sampled_from(
    [
        "--B",
        "--B--",
        "--C",
        "\r\n",
        "\n",
        "\r",
        "Content-Type: text/html",
        "Content-Type: multipart/mixed; boundary=C",
        "Content-Transfer-Encoding: quoted-printable",
        "Content-Transfer-Encoding: base64",
        LINK,
        "=3D",
        "=",
        "PGEgaHJlZj4=",
        "<style>a{color:red}</style>",
        "\x00",
        "é",
        ":",
        " ",
        "<!--[if mso]>",
        "<a href=",
        "charset=utf-16",
    ]
)


@settings(max_examples=200)
@given(
    st.lists(PIECES, max_size=25).map("".join),
    st.sampled_from(["multipart/mixed; boundary=B", "text/html", "x"]),
)
def test_any_message_gives_a_plan_without_an_internal_error(body: str, kind: str) -> None:
    headers = (Header(b"From", b" a@example.test"), Header(b"Content-Type", b" " + kind.encode()))
    msg = Message(headers, body.encode("latin-1"))
    plan = plan_of(msg, "trackclicks", "inlinecss", "preventscam")
    assert plan.notes == ()
    again = Message(headers, msg.body if plan.body is None else plan.body)
    assert plan_of(again, "trackclicks").body is None or plan.body is None
