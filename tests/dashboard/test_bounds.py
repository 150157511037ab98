"""Requests that are wrong, too large, too slow or too many; and what every answer has."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from tests.waiting import until

from .asking import API, Dashboard, dashboard


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """One with narrow bounds, behind a proxy of this host."""
    bounds = {"request_seconds": 1.0, "body_size_limit": 2_000, "connections": 8}
    with dashboard(tmp_path_factory.mktemp("strict"), rate=30, proxies=["127.0.0.0/8"], **bounds) as running:
        yield running


def raw(one: Dashboard, *pieces: bytes) -> bytes:
    """Return all that is answered to bytes, until the other side hangs up."""
    with socket.create_connection(("127.0.0.1", one.port), timeout=60) as client:
        for piece in pieces:
            client.sendall(piece)
        return rest(client)


def rest(client: socket.socket) -> bytes:
    """Return all that comes until the other side hangs up."""
    answer = b""
    while piece := client.recv(65_536):
        answer += piece
    return answer


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "//elsewhere", 404),
        ("GET", "//api/v1/../v1/credentials/%2e%2e", 404),
        ("PUT", "/credentials", 405),
        ("DELETE", "/openapi.json", 405),
        ("GET", "/credentials", 401),
        ("GET", "/openapi.json", 200),
        ("GET", "//docs", 404),
    ],
)
def test_every_answer_has_a_policy_and_every_error_is_a_problem(
    api: Dashboard, method: str, path: str, status: int
) -> None:
    answer = api.ask(method, path)
    assert answer.status == status
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    if status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json["status"] == status
        assert answer.json["detail"]


def test_what_is_no_json_is_told(api: Dashboard) -> None:
    for body in (
        b"{",
        b"\xff\xfe",
        b"[" * 5_000,
        b"null",
        b"1",
        b'"x"',
        b'{"account": "demo", "limits": [[]]}',
    ):
        answer = api.ask("POST", "/credentials", api.operator, body)
        assert answer.status in (400, 422), (body, answer.body)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert api.ask("POST", "/credentials", api.operator, b'{"account": "demo"}', form).status == 415


def test_the_document_is_openapi_3_1_and_names_each_call_once(api: Dashboard) -> None:
    document = api.ask("GET", "/openapi.json").json
    assert document["openapi"].startswith("3.1")
    calls = [way for ways in document["paths"].values() for way in ways.values()]
    names = [call["operationId"] for call in calls]
    assert len(names) == len(set(names))
    for call in calls:
        assert call["tags"]
        assert call["description"]
        assert "401" in call["responses"]


def test_a_post_with_a_key_is_done_once_and_its_password_told_once(api: Dashboard) -> None:
    body = {"account": "demo", "label": "once"}
    key = {"Idempotency-Key": "order 7"}
    with ThreadPoolExecutor(6) as many:
        answers = list(many.map(lambda _: api.ask("POST", "/credentials", api.operator, body, key), range(6)))
    made = [answer for answer in answers if answer.status == 201]
    assert len(made) == 1
    others = [answer for answer in answers if answer.status == 409]
    assert len(others) == 5
    where = f"/api/v1/credentials/{made[0].json['username']}"
    assert {answer.json["location"] for answer in others} == {answer.headers["location"] for answer in others}
    assert others[0].json["location"] == where
    assert made[0].json["password"].encode() not in b"".join(answer.body for answer in others)
    found = api.ask("GET", "/credentials?label=once", api.operator).json["credentials"]
    assert len(found) == 1
    otherwise = api.ask("POST", "/credentials", api.operator, {**body, "label": "twice"}, key)
    assert otherwise.status == 409
    assert "location" not in otherwise.json
    own = api.provision.token("all", account="demo")
    assert api.ask("POST", "/credentials", own, body, key).status == 201  # a key is its token's
    assert api.ask("POST", "/credentials", api.operator, body, {"Idempotency-Key": "x" * 256}).status == 422


def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not(strict: Dashboard) -> None:
    large = b'{"label": "' + b"x" * 3_000 + b'"}'
    answer = strict.ask("POST", "/credentials", strict.operator, large)
    assert answer.status == 413
    head = f"POST {API}/credentials HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {strict.operator}\r\n"
    chunks = b"400\r\n" + b"x" * 1_024 + b"\r\n"
    said = raw(strict, f"{head}Transfer-Encoding: chunked\r\n\r\n".encode(), *[chunks] * 3)
    assert said.startswith(b"HTTP/1.1 413 ")
    assert strict.rows("credentials") == []


def test_who_is_slow_is_given_up_and_keeps_nobody_out(strict: Dashboard) -> None:
    head = f"POST {API}/credentials HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
    token = f"Authorization: Bearer {strict.operator}\r\n\r\n{{"
    assert raw(strict, b"GET / HT") == b""
    assert raw(strict, head.encode()) == b""
    assert raw(strict, (head + token).encode()).startswith(b"HTTP/1.1 408 ")
    assert strict.ask("GET", "/openapi.json").status == 200


def test_a_body_that_trickles_has_one_time_for_all_of_it(strict: Dashboard) -> None:
    head = f"POST {API}/credentials HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {strict.operator}\r\n"
    with socket.create_connection(("127.0.0.1", strict.port), timeout=60) as client:
        client.sendall(f"{head}Content-Length: 1000\r\n\r\n{{".encode())
        for _ in range(40):
            if select.select([client], [], [], 0.2)[0]:
                break
            client.sendall(b" ")
        else:
            pytest.fail("it was waited for longer than eight times what it has")
        assert client.recv(65_536).startswith(b"HTTP/1.1 408 ")


def test_who_is_answered_before_the_body_is_whole_cannot_keep_the_connection(strict: Dashboard) -> None:
    head = f"PUT {API}/credentials HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".encode()
    held = [socket.create_connection(("127.0.0.1", strict.port), timeout=20) for _ in range(8)]
    try:
        for one in held:
            one.sendall(head)
            assert one.recv(65_536).startswith(b"HTTP/1.1 405 ")
            one.sendall(b"x")
        for one in held:
            rest(one)
        assert strict.ask("GET", "/openapi.json").status == 200
    finally:
        for one in held:
            one.close()


def test_what_comes_late_of_a_body_is_passed_over_and_the_next_request_answered(api: Dashboard) -> None:
    head = f"PUT {API}/credentials HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", api.port), timeout=60) as client:
        client.sendall(head)
        assert client.recv(65_536).startswith(b"HTTP/1.1 405 ")
        client.sendall(b"{}")
        client.sendall(b"\r\n" + head + b"null" + head)
        answers = b""
        while answers.count(b"HTTP/1.1 405 ") < 2:
            answers += client.recv(65_536)


def test_who_takes_nothing_of_the_answers_is_given_up(strict: Dashboard) -> None:
    ask = f"GET {API}/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    held = [socket.create_connection(("127.0.0.1", strict.port), timeout=60) for _ in range(8)]
    try:
        for one in held:
            one.sendall(ask * 300)
        assert raw(strict, b"").startswith(b"HTTP/1.1 503 ")
        until(lambda: not raw(strict, b"").startswith(b"HTTP/1.1 503 "), "a place for somebody else", 20)
    finally:
        for one in held:
            one.close()


def test_a_header_has_its_bounds_and_what_is_no_http_is_told(strict: Dashboard) -> None:
    many = b"GET / HTTP/1.1\r\n" + b"X-Field: " + b"x" * 60_000
    assert raw(strict, many).startswith(b"HTTP/1.1 431 ")
    said = raw(strict, b"HELO me\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 400 ")
    assert b"Content-Security-Policy: default-src" in said


def test_more_connections_than_there_may_be_are_told_to_come_again(strict: Dashboard) -> None:
    held = [socket.create_connection(("127.0.0.1", strict.port), timeout=60) for _ in range(8)]
    try:
        assert raw(strict, b"").startswith(b"HTTP/1.1 503 ")
    finally:
        for one in held:
            one.close()


def test_a_token_that_asks_too_often_has_to_wait_and_is_told_how_long(strict: Dashboard) -> None:
    token = strict.provision.token("read")
    answers = [strict.ask("GET", "/credentials", token) for _ in range(32)]
    statuses = [answer.status for answer in answers]
    assert statuses[:30] == [200] * 30
    assert statuses[-1] == 429
    assert (answers[0].headers["ratelimit-limit"], answers[0].headers["ratelimit-remaining"]) == ("30", "29")
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert strict.ask("GET", "/credentials", strict.provision.token("read")).status == 200


def test_behind_a_proxy_of_ours_who_asks_is_whom_it_names(strict: Dashboard) -> None:
    text = strict.ask(
        "POST",
        "/tokens",
        strict.operator,
        {"name": "t", "scopes": ["read"], "networks": ["192.0.2.0/24"]},
    ).json["token"]
    named = {"X-Forwarded-For": "203.0.113.9, 192.0.2.1"}
    assert strict.ask("GET", "/credentials", text, headers=named).status == 200
    assert strict.ask("GET", "/credentials", text, headers={"X-Forwarded-For": "203.0.113.9"}).status == 401


def test_a_store_that_is_away_is_told_as_such_and_asked_again(tmp_path: Path) -> None:
    with dashboard(tmp_path) as one:
        assert one.ask("GET", "/credentials", one.operator).status == 200
        file = tmp_path / "directory.db"
        file.rename(tmp_path / "away")
        answer = one.ask("GET", "/credentials", one.operator)
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        (tmp_path / "away").rename(file)
        assert one.ask("GET", "/credentials", one.operator).status == 200


@pytest.mark.parametrize("number", range(4))
def test_whatever_is_asked_for_is_answered_with_no_fault_of_ours(api: Dashboard, number: int) -> None:
    """Made of the OpenAPI document: every call, with values of its types and others."""
    document = api.ask("GET", "/openapi.json").json
    strange = ["", "x" * 300, "ü%00", "-1", "0", "999999999999999999999", "a\u202eb", "1e9", "../../x"]
    for path, ways in document["paths"].items():
        for method, call in ways.items():
            text = strange[(number * 2) % len(strange)]
            where = path.removeprefix(API)
            while "{" in where:
                begin, _, rest = where.partition("{")
                where = f"{begin}{quote(text or 'x', safe='')}{rest.partition('}')[2]}"
            queries = [one["name"] for one in call.get("parameters", []) if one["in"] == "query"]
            asked = {name: strange[(at + number) % len(strange)] for at, name in enumerate(queries)}
            body = None
            if "requestBody" in call:
                reference = call["requestBody"]["content"]["application/json"]["schema"]["$ref"]
                fields = document["components"]["schemas"][reference.rpartition("/")[2]]["properties"]
                odd = [None, [], {}, text, -1, 1.5, True, [text], {"a": [text]}]
                body = {name: odd[(at + number) % len(odd)] for at, name in enumerate(fields)}
            answer = api.ask(method.upper(), f"{where}?{urlencode(asked)}", api.operator, body)
            assert answer.status < 500, (method, where, asked, body, answer.body)
            if answer.status >= 400:
                assert answer.headers["content-type"] == "application/problem+json"
