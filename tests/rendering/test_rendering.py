"""What a reader sees stays the same, pixel for pixel, when every feature has edited a real template.

Templates of mail builders (``documents``) go through the pipeline with all features on, and a real Chromium
shows both sides at three widths, in dark mode and as print. What is compared of each element: ``capture.js``.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from .browser import all_differences
from .letters import Letter, letter, names

MOST_TOLD = 8


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> dict[str, Letter]:
    """Edit those documents that were asked for."""
    images = tmp_path_factory.mktemp("images")
    asked = {
        item.callspec.params["name"]
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


def test_there_are_a_hundred_templates_and_more() -> None:
    assert len(names()) >= 100
