"""What an account's hosted images may take: set, shown, explained, and given back."""

from __future__ import annotations

import base64
import os
import time
from pathlib import Path
from typing import Any

import pytest

from gatepost_core.domain.images import is_name
from gatepost_core.store.images import FileImageStore

from .command import Gatepost

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 1_000
MESSAGE = f"""From: a@example.test
To: b@example.org
Content-Type: multipart/related; boundary=b

--b
Content-Type: text/html

<img src="cid:one@x"><img src="cid:two@x">
--b
Content-Type: image/png
Content-Transfer-Encoding: base64
Content-ID: <one@x>

{base64.encodebytes(PNG).decode()}
--b
Content-Type: image/png
Content-Transfer-Encoding: base64
Content-ID: <two@x>

{base64.encodebytes(PNG + b"2").decode()}
--b--
"""


@pytest.fixture
def hosting(gatepost: Gatepost) -> Gatepost:
    with gatepost.config.open("a") as config:
        config.write(f'[images]\ndirectory = "{gatepost.folder}/images"\nkeep_days = 30\n')
    assert gatepost("domain", "add", "example.test", "--account", "acme").code == 0
    return gatepost


def images(gatepost: Gatepost) -> FileImageStore:
    return FileImageStore(gatepost.folder / "images")


def explained(gatepost: Gatepost, *words: str) -> tuple[dict[str, Any], list[str]]:
    """Return what is said of the feature, and the files that are there afterwards."""
    file = gatepost.folder / "message.eml"
    file.write_text(MESSAGE)
    username = gatepost.add_credential("--feature", "images=hosted", *words)["username"]
    found = gatepost("explain", str(file), "--credential", username, "--json").data
    (feature,) = [one for one in found["features"] if one["name"] == "images"]
    folder = gatepost.folder / "images"
    return feature, [path.name for path in folder.rglob("*")] if folder.exists() else []


@pytest.mark.parametrize("words", [(), ("--mode", "sandbox")])
def test_explain_hosts_nothing(hosting: Gatepost, words: tuple[str, ...]) -> None:
    feature, kept = explained(hosting, *words)
    assert (feature["applied"], feature["skipped"], kept) == (True, "", [])


def test_explain_tells_that_an_account_has_no_room_left(hosting: Gatepost) -> None:
    images(hosting).put(1, PNG + b"before", "image/png", 10_000)
    assert hosting("account", "set", "acme", "--image-quota", "2500").code == 0
    feature, _ = explained(hosting)
    assert feature["applied"]
    assert feature["skipped"] == "part 3 stays: it would take the account's hosted images over its 2500 bytes"


def test_a_quota_is_set_shown_and_lifted(hosting: Gatepost) -> None:
    images(hosting).put(1, PNG, "image/png", 10_000)
    text = hosting("account", "show", "acme").out
    assert f"hosted images\t{len(PNG)} bytes of 1000000000, by images.quota" in text
    data = hosting("account", "set", "acme", "--image-quota", "500M", "--json").data
    assert (data["image_bytes"], data["image_quota"], data["image_quota_set"]) == (
        len(PNG),
        500_000_000,
        500_000_000,
    )
    assert hosting("account", "show", "acme", "--json").data == data
    assert (
        hosting("account", "set", "acme", "--image-quota", "default", "--json").data["image_quota"]
        == 1_000_000_000
    )
    assert hosting("account", "set", "acme", "--image-quota", "0", "--json").data["image_quota_set"] == 0


@pytest.mark.parametrize("size", ["-1", "much", "1.5G", "", "9999999999999999"])
def test_what_is_no_size_is_refused_by_name(hosting: Gatepost, size: str) -> None:
    result = hosting("account", "set", "acme", f"--image-quota={size}", "--json")
    assert result.code == 2
    assert "is no size; expected bytes, or something like 500M or 2G, or default" in result.error


def test_an_account_that_does_not_exist_is_not_found(hosting: Gatepost) -> None:
    assert hosting("account", "show", "nobody").code == 3
    assert hosting("account", "set", "nobody", "--image-quota", "1G").code == 3


def test_prune_removes_what_no_message_uses_any_more(hosting: Gatepost) -> None:
    store = images(hosting)
    old = store.path(1, store.put(1, PNG, "image/png", 10_000))
    store.put(1, PNG + b"new", "image/png", 10_000)
    then = time.time() - 31 * 86_400
    os.utime(old, (then, then))
    pruned = hosting("store", "prune", "--json").data
    assert (pruned["images"], pruned["bytes"], pruned["keep_days"]) == (1, len(PNG), 30)
    assert hosting("account", "show", "acme", "--json").data["image_bytes"] == len(PNG) + 3
    told = hosting("--set", "images.keep_days=0", "store", "prune").out
    assert told.endswith("; no image removed: images.keep_days is 0\n")


def test_an_account_s_images_go_with_it(hosting: Gatepost) -> None:
    assert hosting("account", "add", "other").code == 0
    store = images(hosting)
    for account in (1, 2):
        store.put(account, PNG, "image/png", 10_000)
    assert hosting("account", "remove", "other").code == 0
    kept = [path for path in (hosting.folder / "images").rglob("*") if is_name(path.name)]
    assert [path.parent.parent.name for path in kept] == ["1"]


def test_images_and_the_account_s_secret_come_back_from_a_backup(hosting: Gatepost, tmp_path: Path) -> None:
    name = images(hosting).put(1, PNG, "image/png", 10_000)
    file = str(tmp_path / "backup.tar.gz")
    assert hosting("backup", "create", file).code == 0
    (hosting.folder / "images").rename(tmp_path / "lost")
    assert hosting("backup", "restore", file).code == 0
    assert images(hosting).path(1, name).read_bytes() == PNG
    assert images(hosting).put(1, PNG, "image/png", 10_000) == name
    assert images(hosting).used(1) == len(PNG)
