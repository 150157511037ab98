"""Hosted images: kept once under a name made from their content, whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.domain.images import TYPES, QuotaError, is_name, type_of
from gatepost_core.store.images import FileImageStore

GIF = b"GIF89a" + b"x" * 20


QUOTA = 1_000_000
DAY = 86_400


def put(store: FileImageStore, data: bytes = GIF, account: int = 1, quota: int = QUOTA) -> str:
    return store.put(account, data, "image/gif", quota)


def images(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if is_name(path.name)]


def aged(path: Path, days: float) -> None:
    then = time.time() - days * DAY
    os.utime(path, (then, then))


def test_an_image_is_read_back_by_its_name_and_kept_once(tmp_path: Path) -> None:
    store = FileImageStore(tmp_path / "images")
    name = put(store)
    assert is_name(name)
    assert name.endswith(".gif")
    assert put(store) == put(FileImageStore(tmp_path / "images")) == name
    assert store.path(1, name).read_bytes() == GIF
    assert images(tmp_path) == [store.path(1, name)]
    assert store.path(1, name).stat().st_mode & 0o777 == 0o640
    assert store.used(1) == len(GIF)


def test_nobody_can_work_out_by_an_image_what_name_another_account_has_for_it(tmp_path: Path) -> None:
    store = FileImageStore(tmp_path)
    assert len({put(store, account=account) for account in (1, 2, 3)}) == 3
    assert len({put(FileImageStore(tmp_path / other)) for other in ("a", "b")}) == 2


def test_equal_content_of_several_accounts_is_one_file_and_counts_for_each(tmp_path: Path) -> None:
    store = FileImageStore(tmp_path)
    paths = [store.path(account, put(store, account=account)) for account in (1, 2, 3)]
    assert len({path.stat().st_ino for path in paths}) == 1
    assert [store.used(account) for account in (1, 2, 3)] == [len(GIF)] * 3
    paths[0].unlink()
    assert paths[1].read_bytes() == GIF


def test_an_image_that_was_cut_short_or_removed_is_written_again_and_counted_once(tmp_path: Path) -> None:
    store = FileImageStore(tmp_path)
    path = store.path(1, put(store))
    path.write_bytes(GIF[:5])
    put(FileImageStore(tmp_path))
    assert path.read_bytes() == GIF
    put(store)
    assert path.read_bytes() == GIF


def test_over_the_quota_nothing_is_written_and_what_is_there_can_be_used(tmp_path: Path) -> None:
    store = FileImageStore(tmp_path)
    for number in range(3):
        put(store, b"GIF89a%d" % number, quota=21)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(QuotaError, match="would take the account's hosted images over its 21 bytes"):
        put(store, b"GIF89a3", quota=21)
    with pytest.raises(QuotaError, match="may not be hosted"):
        put(store, b"GIF89a3", account=1, quota=0)
    assert sorted(tmp_path.rglob("*")) == before
    assert put(store, b"GIF89a2", quota=0)
    assert put(store, b"GIF89a3", account=2, quota=7)


def test_many_at_once_keep_one_file(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        stores = [FileImageStore(tmp_path) for _ in range(4)]
        names = set(pool.map(lambda n: put(stores[n % 4]), range(64)))
    assert len(names) == 1
    assert len(images(tmp_path)) == 1
    assert stores[0].used(1) == len(GIF)


FILLING = """
import sys
from pathlib import Path
from gatepost_core.domain.images import QuotaError
from gatepost_core.store.images import FileImageStore
store = FileImageStore(Path(sys.argv[1]))
kept = 0
for number in range(200):
    # Half of them are those of the other processes, half its own.
    data = b"GIF89a" + (b"%04d" % number if number % 2 else b"%s%03d" % (sys.argv[2].encode(), number))
    try:
        store.put(1, data, "image/gif", 3_000)
        kept += 1
    except QuotaError:
        pass
print(kept)
"""


def test_processes_together_never_keep_more_than_the_quota_and_use_all_of_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FILLING, str(tmp_path)]
    processes = [subprocess.Popen([*command, str(n)], stdout=subprocess.PIPE) for n in range(4)]
    for process in processes:
        assert process.communicate(timeout=120)[0]
        assert process.returncode == 0
    sizes = [path.stat().st_size for path in images(tmp_path)]
    assert sum(sizes) == 3_000
    assert FileImageStore(tmp_path).used(1) == 3_000


def test_no_message_makes_anybody_look_through_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FileImageStore(tmp_path)
    put(store)
    looked: list[object] = []

    def look(*words: object, **_: object) -> Iterator[object]:
        looked.append(words)
        return iter(())

    for module, name in ((os, "scandir"), (os, "listdir"), (Path, "glob"), (Path, "iterdir")):
        monkeypatch.setattr(module, name, look)
    put(store, GIF + b"new")
    put(FileImageStore(tmp_path), GIF + b"newer")
    put(store)
    assert store.used(1) == 3 * len(GIF) + 8
    assert looked == []


def test_where_the_number_was_lost_it_is_counted_anew(tmp_path: Path) -> None:
    store = FileImageStore(tmp_path)
    put(store)
    for text in (None, b"", b"nonsense"):
        (store.folder(1) / "usage").unlink() if text is None else (store.folder(1) / "usage").write_bytes(
            text
        )
        assert store.used(1) == len(GIF)
        with pytest.raises(QuotaError):
            put(store, GIF + b"more", quota=len(GIF) + 5)


def test_a_trial_answers_as_the_store_would_and_writes_nothing(tmp_path: Path) -> None:
    store = FileImageStore(tmp_path)
    assert is_name(put_trial := store.trial().put(1, GIF, "image/gif", QUOTA))
    assert list(tmp_path.iterdir()) == []
    name = put(store)
    assert name != put_trial  # an account's secret is made with its first image
    before = sorted(tmp_path.rglob("*"))
    trial = store.trial()
    assert trial.put(1, GIF, "image/gif", len(GIF)) == name
    other = trial.put(1, GIF + b"1", "image/gif", 2 * len(GIF) + 1)
    with pytest.raises(QuotaError):
        trial.put(1, GIF + b"2", "image/gif", 2 * len(GIF) + 1)
    assert trial.put(1, GIF + b"1", "image/gif", 2 * len(GIF) + 1) == other
    assert sorted(tmp_path.rglob("*")) == before


def test_images_that_no_message_uses_any_more_are_removed_and_their_room_is_free(tmp_path: Path) -> None:
    store = FileImageStore(tmp_path)
    old, used = store.path(1, put(store)), store.path(1, put(store, GIF + b"used"))
    theirs = store.path(2, put(store, GIF + b"theirs", account=2))
    first_release = tmp_path / "ab" / f"{'ab' * 32}.gif"
    first_release.parent.mkdir()
    first_release.write_bytes(GIF)
    for path in (old, used, theirs, first_release):
        aged(path, 40)
    put(store, GIF + b"used")  # a message of today
    assert store.prune(time.time() - 30 * DAY) == (3, 3 * len(GIF) + 6)
    assert images(tmp_path) == [used]
    assert (store.used(1), store.used(2)) == (len(GIF) + 4, 0)
    assert len([path for path in (tmp_path / ".content").rglob("*") if path.is_file()]) == 1
    assert store.path(1, put(store)).read_bytes() == GIF


def test_an_image_that_several_accounts_have_stays_while_one_uses_it(tmp_path: Path) -> None:
    store = FileImageStore(tmp_path)
    first, second = (store.path(account, put(store, account=account)) for account in (1, 2))
    aged(first, 40)
    put(store, account=2)
    store.prune(time.time() - 30 * DAY)
    assert second.exists()


def test_without_a_limit_of_age_no_image_is_removed(tmp_path: Path) -> None:
    store = FileImageStore(tmp_path)
    aged(store.path(1, put(store)), 10_000)
    assert store.prune(0.0) == (0, 0)
    assert len(images(tmp_path)) == 1


def test_a_store_that_cannot_be_written_raises_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "images").write_text("a file where the directory should be")
    with pytest.raises(OSError, match=r"Not a directory|exists"):
        put(FileImageStore(tmp_path / "images"))


def test_what_could_not_be_written_does_not_count(tmp_path: Path) -> None:
    store = FileImageStore(tmp_path)
    name = put(store)
    (tmp_path / ".content").rename(tmp_path / "aside")
    (tmp_path / ".content").write_text("a file where a folder should be")
    with pytest.raises(OSError, match=r"Not a directory|exists"):
        put(store, GIF + b"more")
    assert store.used(1) == len(GIF)
    assert images(tmp_path) == [store.path(1, name)]


@pytest.mark.parametrize("kind", ["image/svg+xml", "text/html", "image/x-odd", ""])
def test_only_images_that_can_hold_no_script_are_kept(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ValueError, match="no image that is hosted"):
        FileImageStore(tmp_path).put(1, GIF, kind, QUOTA)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"RIFF\n\n\n\nWEBP", "image/webp"),
        (b"<svg/>", None),
        (b"<html>", None),
        (b"", None),
    ],
)
def test_the_first_bytes_tell_what_an_image_is(data: bytes, kind: str | None) -> None:
    assert type_of(data) == kind
    assert kind is None or kind in TYPES.values()


@given(st.one_of(st.text(max_size=80), st.from_regex(r"[0-9a-f/.]{60,70}\.(png|svg)")))
def test_a_name_never_leads_out_of_the_directory(text: str) -> None:
    store = FileImageStore(Path("/images"))
    if is_name(text):
        assert store.path(7, text).parent.parent == Path("/images/accounts/7")
    else:
        with pytest.raises(ValueError, match="no image's name"):
            store.path(7, text)
