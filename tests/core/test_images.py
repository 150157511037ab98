"""Hosted images: kept once under a name made from their content, whole or not at all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.images import TYPES, FileImageStore, is_name, type_of

GIF = b"GIF89a" + b"x" * 20


def test_an_image_is_read_back_by_its_name_and_kept_once(tmp_path: Path) -> None:
    store = FileImageStore(tmp_path / "images")
    name = store.put(GIF, "image/gif")
    assert is_name(name)
    assert name.endswith(".gif")
    assert store.put(GIF, "image/gif") == FileImageStore(tmp_path / "images").put(GIF, "image/gif") == name
    assert store.path(name).read_bytes() == GIF
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [store.path(name)]
    assert store.path(name).stat().st_mode & 0o777 == 0o640


def test_an_image_that_was_cut_short_or_removed_is_written_again(tmp_path: Path) -> None:
    store = FileImageStore(tmp_path)
    path = store.path(store.put(GIF, "image/gif"))
    path.unlink()
    store.put(GIF, "image/gif")
    assert path.read_bytes() == GIF
    path.write_bytes(GIF[:5])
    FileImageStore(tmp_path).put(GIF, "image/gif")
    assert path.read_bytes() == GIF


def test_many_at_once_keep_one_file(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        stores = [FileImageStore(tmp_path) for _ in range(4)]
        names = set(pool.map(lambda n: stores[n % 4].put(GIF, "image/gif"), range(64)))
    assert len(names) == 1
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


def test_a_store_that_cannot_be_written_raises_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "images").write_text("a file where the directory should be")
    with pytest.raises(OSError, match=r"Not a directory|exists"):
        FileImageStore(tmp_path / "images").put(GIF, "image/gif")


@pytest.mark.parametrize("kind", ["image/svg+xml", "text/html", "image/x-odd", ""])
def test_only_images_that_can_hold_no_script_are_kept(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ValueError, match="no image that is hosted"):
        FileImageStore(tmp_path).put(GIF, kind)


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
        assert store.path(text).parent.parent == Path("/images")
    else:
        with pytest.raises(ValueError, match="no image's name"):
            store.path(text)
