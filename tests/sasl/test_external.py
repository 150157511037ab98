"""A login that a directory knows, bound to a credential: who gets in, and what bridges a fault."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gatepost_core.domain import Credential, Rules, Source, State
from gatepost_core.serving import Later, Send
from gatepost_core.store import Reader, credentials
from gatepost_sasl.authenticator import BackendUnavailable, Denied, Granted, Peer, Verdict
from gatepost_sasl.backends.breaker import Breaker
from gatepost_sasl.backends.cache import GrantedLogins
from gatepost_sasl.backends.external import ExternalAuthenticator
from gatepost_sasl.backends.maker import OrderingMaker
from gatepost_sasl.backends.template import Template, TemplateError, VerifiedUser
from gatepost_sasl.session import AuthSession, Configuration
from gatepost_sasl.slowest import Slowest
from tests.core.running import PATIENCE, Running, events, listening
from tests.core.stores import Store, make_store

from .guards import HOLDS_NOBODY_OFF

PEER = Peer("192.0.2.7")
NOW = datetime.now(UTC)


@dataclass
class Directory:
    """A directory with one password; ``down`` has it fault."""

    password: str = "right"
    down: bool = False
    groups: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list)

    def check(self, name: str, password: str) -> VerifiedUser | Denied:
        self.asked.append(name)
        if self.down:
            raise BackendUnavailable("ldap: down")
        if password != self.password:
            return Denied("wrong password")
        return VerifiedUser(name, {"mail": (f"{name}@example.org", f"{name}@example.net")}, self.groups)

    def stuck_for(self, seconds: float) -> str:
        del seconds
        return ""

    def close(self) -> None:
        """Have nothing open."""


class Uses:
    def __init__(self) -> None:
        self.kept: list[str] = []

    def record(self, credential_id: int, ip: str, now: datetime) -> None:
        del credential_id, now
        self.kept.append(ip)


@dataclass
class Login:
    """What a test drives: the authenticator and the parts that it is made of."""

    authenticator: ExternalAuthenticator
    directory: Directory
    store: Store
    uses: Uses
    slowest: Slowest

    def __call__(self, username: str = "lena", password: str = "right", peer: Peer = PEER) -> Verdict:  # noqa: S107
        return self.authenticator.authenticate(username, password, peer)

    def add(self, username: str = "lena", source: Source = Source.LDAP, **values: Any) -> Credential:
        with self.store.writing() as connection:
            return credentials.add(
                connection, account="acme", username=username, derived=None, now=NOW, source=source, **values
            )

    def change(self, username: str = "lena", **changes: Any) -> None:
        with self.store.writing() as connection:
            credentials.change(connection, username, **changes)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path)


@pytest.fixture
def reader(store: Store) -> Iterator[Reader]:
    opened = Reader(store.settings.store.url)
    yield opened
    opened.close()


@pytest.fixture
def orders(store: Store) -> Iterator[Running]:
    """gatepost-events, which makes credentials."""
    with events(store.config, store.folder) as daemon:
        yield daemon


def made(store: Store, reader: Reader, template: Template | None = None, cache: float = 0) -> Login:
    directory, uses, slowest = Directory(), Uses(), Slowest()
    maker = ordering(store, reader, template) if template else None
    authenticator = ExternalAuthenticator(
        Source.LDAP,
        directory,
        reader,
        uses,
        lambda: NOW,
        breaker=Breaker("ldap", 0, 1, time.monotonic),
        granted=GrantedLogins(cache, time.monotonic),
        maker=maker,
        fold_case=True,
        slowest=slowest,
    )
    return Login(authenticator, directory, store, uses, slowest)


def ordering(store: Store, reader: Reader, template: Template) -> OrderingMaker:
    return OrderingMaker(store.settings.events.listen, Source.LDAP, template, reader)


@pytest.fixture
def login(store: Store, reader: Reader) -> Login:
    return made(store, reader)


def test_a_right_password_with_a_credential_is_granted_and_its_use_noted(login: Login) -> None:
    login.add()
    assert login() == Granted("lena", "ldap")
    assert login(" Lena ") == Granted("lena", "ldap")
    assert login.uses.kept == ["192.0.2.7"] * 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state": State.DISABLED}, "ldap: credential disabled"),
        ({"expires_at": NOW - timedelta(seconds=1)}, "ldap: credential expired"),
        ({"rules": Rules(networks=("198.51.100.0/24",))}, "ldap: network not allowed"),
    ],
)
def test_a_credential_that_may_not_be_used_refuses_the_right_password(
    login: Login, changes: dict[str, Any], reason: str
) -> None:
    login.add()
    login.change(**changes)
    assert login() == Denied(reason)
    assert login(password="wrong") == Denied("ldap: wrong password")
    assert login.uses.kept == []


def test_a_credential_of_another_back_end_is_not_opened_by_the_directory(login: Login) -> None:
    assert login("alice") == Denied("ldap: the credential belongs to store")
    login.add("peter", Source.PAM)
    assert login("peter") == Denied("ldap: the credential belongs to pam")


def test_without_a_credential_and_without_a_template_nobody_gets_in(login: Login) -> None:
    assert isinstance(login(), Denied)


@pytest.mark.parametrize(("username", "password"), [("", "x"), ("lena", ""), (" ", "x"), ("x" * 256, "x")])
def test_an_empty_password_or_an_impossible_name_never_reaches_the_directory(
    login: Login, username: str, password: str
) -> None:
    assert isinstance(login(username, password), Denied)
    assert login.directory.asked == []


@pytest.mark.usefixtures("orders")
def test_the_first_login_makes_a_credential_from_the_template_and_later_ones_leave_it(
    store: Store, reader: Reader
) -> None:
    template = Template(
        "acme",
        ["inlinecss"],
        ["{mail}", "{user}@example.com"],
        ["192.0.2.0/24"],
        ["marketing => trackclicks", "cn=Sales, ou=groups,dc=example,dc=org => tags=sales"],
    )
    login = made(store, reader, template)
    login.directory.groups = ("cn=marketing,ou=groups,dc=example,dc=org",)
    assert login() == Granted("lena", "ldap")
    credential = reader.credential("lena")
    assert credential is not None
    assert credential.source is Source.LDAP
    assert credential.account == "acme"
    assert dict(credential.features) == {"inlinecss": True, "trackclicks": True}
    senders = ("lena@example.org", "lena@example.net", "lena@example.com")
    assert credential.rules == Rules(senders, ("192.0.2.0/24",))
    login.change(features={})
    assert login() == Granted("lena", "ldap")
    after = reader.credential("lena")
    assert after is not None
    assert after.features == {}


def test_a_wrong_password_makes_no_credential(store: Store, reader: Reader) -> None:
    login = made(store, reader, Template("acme"))
    assert isinstance(login(password="wrong"), Denied)
    assert reader.credential("lena") is None


@pytest.mark.usefixtures("orders")
def test_two_workers_at_once_make_one_credential(store: Store, reader: Reader) -> None:
    maker = ordering(store, reader, Template("acme"))
    with ThreadPoolExecutor(8) as workers:
        found = list(workers.map(lambda _: maker.make(VerifiedUser("lena"), soon()), range(16)))
    assert isinstance(found[0], Credential)
    assert found == [found[0]] * 16


@pytest.mark.usefixtures("orders")
def test_a_template_for_an_account_that_is_not_there_is_our_fault(store: Store, reader: Reader) -> None:
    login = made(store, reader, Template("nobody"))
    with pytest.raises(BackendUnavailable, match="no account 'nobody'"):
        login()
    assert reader.credential("lena") is None


def test_while_nobody_takes_orders_only_those_without_a_credential_are_told_to_come_back(
    store: Store, reader: Reader
) -> None:
    login = made(store, reader, Template("acme"))
    login.add("lars")
    assert login("lars") == Granted("lars", "ldap")
    assert login("lars", "wrong") == Denied("ldap: wrong password")
    with pytest.raises(
        BackendUnavailable, match=r"no credential for lena: gatepost-events: .*nobody listens there"
    ):
        login()
    with events(store.config, store.folder):
        assert login() == Granted("lena", "ldap")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"", "closed without an answer"),
        (b"nonsense\n", "no JSON"),
        (b'[2,"made",""]\n', "version 2"),
        (b'[1,"unavailable","locked"]\n', "locked"),
        (b'[1,"here",""]\n', "here"),
        (b'[1,"made",""]\n', "not in the store that is read here"),
        (b"x" * 1_000_000, "more than 65536 bytes"),
    ],
)
def test_whatever_else_answers_an_order_is_no_wrong_password(
    store: Store, reader: Reader, said: bytes, words: str
) -> None:
    login = made(store, reader, Template("acme"))
    with answering(store.folder / "orders", said), pytest.raises(BackendUnavailable, match=words):
        login()


def test_an_order_that_is_not_answered_is_given_up_before_postfix_gives_up(
    store: Store, reader: Reader
) -> None:
    maker = ordering(store, reader, Template("acme"))
    with listening(store.folder / "orders"), pytest.raises(BackendUnavailable, match="no answer in time"):
        maker.make(VerifiedUser("lena"), time.monotonic() + 0.05)


@pytest.mark.parametrize("name", ["le\u202ena", "x" * 300])
def test_a_name_of_the_directorys_that_no_credential_can_have_is_refused_and_not_asked_for(
    store: Store, reader: Reader, name: str
) -> None:
    maker = ordering(store, reader, Template("acme"))
    denied = maker.make(VerifiedUser(name), soon())
    assert isinstance(denied, Denied)
    assert "no user name" in denied.reason


@contextmanager
def answering(path: Path, said: bytes) -> Iterator[None]:
    """Have somebody say the same to whoever gives an order, and hang up."""

    def serve() -> None:
        with listener:
            client, _ = listener.accept()
            with client, suppress(OSError):
                client.recv(65_536)
                client.sendall(said)

    listener = listening(path)
    listener.settimeout(PATIENCE)
    thread = threading.Thread(target=serve)
    thread.start()
    yield
    thread.join()


def soon() -> float:
    return time.monotonic() + PATIENCE


def test_senders_that_come_to_nothing_do_not_mean_any_sender() -> None:
    template = Template("acme", senders=["{otherMailbox}"])
    with pytest.raises(TemplateError, match="no sender results"):
        template.fill(VerifiedUser("lena"))
    values = (
        "not an address",
        "a@b@c",
        "*@x",
        "example.com",
        "*.com",
        "",
        "a\u202e@b.test",
        f"{'a' * 400}@b.test",
    )
    odd = VerifiedUser("lena", {"otherMailbox": values})
    with pytest.raises(TemplateError):
        template.fill(odd)


def test_a_group_is_known_by_its_name_or_its_first_value() -> None:
    template = Template("a", group_features=["CN=Mail Team,DC=example => tags=one", "sales => inlinecss"])
    for groups, features in (
        (("cn=mail team, dc=example",), {"tags": ("one",)}),
        (("cn=Sales,dc=example",), {"inlinecss": True}),
        (("ou=sales\\, west,dc=example",), {}),
        (("cn=other,ou=sales",), {}),
    ):
        assert template.fill(VerifiedUser("x", {}, groups)).features == features


def test_the_cache_bridges_a_directory_that_is_down(store: Store, reader: Reader) -> None:
    login = made(store, reader, cache=60)
    login.add()
    assert login() == Granted("lena", "ldap")
    login.directory.down = True
    verdict = login()
    assert isinstance(verdict, Granted)
    assert "from the cache" in verdict.note
    with pytest.raises(BackendUnavailable):
        login(password="wrong")
    with pytest.raises(BackendUnavailable):
        login("lars")


def test_without_the_cache_a_directory_that_is_down_is_our_fault(login: Login) -> None:
    login.add()
    login()
    login.directory.down = True
    with pytest.raises(BackendUnavailable):
        login()


@pytest.mark.parametrize(
    "changes", [{"state": State.DISABLED}, {"label": "other"}, {"rules": Rules(senders=("a.test",))}]
)
def test_a_change_of_the_credential_ends_what_the_cache_knows(
    store: Store, reader: Reader, changes: dict[str, Any]
) -> None:
    login = made(store, reader, cache=60)
    login.add()
    login()
    login.directory.down = True
    login.change(**changes)
    with pytest.raises(BackendUnavailable):
        login()


def test_a_password_changed_in_the_directory_is_not_good_from_the_cache(store: Store, reader: Reader) -> None:
    login = made(store, reader, cache=60)
    login.add()
    login()
    login.directory.password = "changed"
    assert isinstance(login(), Denied)
    login.directory.down = True
    with pytest.raises(BackendUnavailable):
        login()


def test_a_refusal_waits_for_as_long_as_the_directory_takes_for_those_whom_it_knows(
    store: Store, reader: Reader
) -> None:
    one = made(store, reader)
    one.add()
    one.slowest.took(0.6)  # a known name with a wrong password, a while ago
    for name, password in (("lena", "wrong"), ("nobody", "right"), ("", "right"), ("x" * 300, "right")):
        verdict = one(name, password)
        assert isinstance(verdict, Denied)
        assert verdict.wait == pytest.approx(0.9)
    session = AuthSession(Configuration(one.authenticator, lambda _: None, HOLDS_NOBODY_OFF))
    session.receive(b"VERSION\t1\t0\n", 0.0)
    response = base64.b64encode(b"\0nobody\0right")
    (later,) = session.receive(b"AUTH\t1\tPLAIN\trip=192.0.2.7\tsecured\tresp=%s\n" % response, 100.0)
    assert isinstance(later, Later)
    (answer,) = later.work()
    assert isinstance(answer, Send)
    assert answer.not_before == pytest.approx(100.9)
