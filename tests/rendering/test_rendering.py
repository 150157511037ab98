"""What a reader sees stays the same, pixel for pixel, when every feature has edited a real template.

Templates of mail builders (``documents``) go through the pipeline with all features on, and a real Chromium
shows both sides at three widths, in dark mode, as print and under the pointer. What is compared of each
element: ``capture.js``.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from .browser import all_differences
from .letters import Letter, letter, names

MOST_TOLD = 8
HEAD = "</head>"


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> dict[str, Letter]:
    """Edit those documents that were asked for."""
    images = tmp_path_factory.mktemp("images")
    asked = {
        str(item.callspec.params["name"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec") and item.path == Path(__file__)
    }
    return {name: letter(name, images) for name in sorted(asked)}


@pytest.fixture(scope="module")
def differences(letters: dict[str, Letter]) -> dict[str, list[str]]:
    """Show all of them in one browser."""
    return asyncio.run(all_differences(letters))


@pytest.mark.timeout(900)  # the first one waits for all
@pytest.mark.parametrize("name", names())
def test_a_template_looks_the_same_with_every_feature_on(
    differences: dict[str, list[str]], letters: dict[str, Letter], name: str
) -> None:
    found = differences[name]
    told = [*found[:MOST_TOLD], *([f"and {len(found) - MOST_TOLD} more"] if len(found) > MOST_TOLD else [])]
    assert not found, "\n".join([*told, f"(skipped: {dict(letters[name].plan.skipped)})"])


def test_a_hundred_templates_and_more_have_styles_inlined_and_most_something_else(
    tmp_path: Path,
) -> None:
    applied = [letter(name, tmp_path).plan.applied for name in names()]
    assert sum("inlinecss" in one for one in applied) >= 100
    assert sum("trackclicks" in one for one in applied) >= 70
    assert sum("images" in one for one in applied) >= 60
    assert all("trackopens" in one for one in applied)


CHANGES = [
    (HEAD, "<style>@media (prefers-color-scheme:dark){td{color:#123}}</style>", "dark: other pixels"),
    (HEAD, "<style>@media print{td{text-indent:19px}}</style>", "print: other pixels"),
    (HEAD, "<style>@media (max-width:400px){a{outline:1px solid}}</style>", "375: other pixels"),
    (HEAD, "<style>td{color-scheme:dark}</style>", "color-scheme: normal became dark"),
    (HEAD, "<style>a:hover{word-spacing:3px}</style>", "hover: other pixels"),
    ("https://click.example.test/", "https://click.example.test/X", "link https://shop.example.org/"),
    ('src="https://click.example.test/i/', 'src="https://images.example.org/', "image https://embedded"),
]


def test_what_a_reader_would_notice_is_noticed(tmp_path: Path) -> None:
    sound = letter("mailgen/default", tmp_path, {"trackclicks": True, "images": "hosted"})
    changed = dict[str, Letter]()
    for old, new, seen in CHANGES:
        assert old in sound.after
        after = sound.after.replace(old, new + (old if old == HEAD else ""), 1)
        changed[seen] = replace(sound, after=after)
    for seen, found in asyncio.run(all_differences(changed)).items():
        assert seen in "\n".join(found)
