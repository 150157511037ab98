"""The examples of the back ends' pages can be used as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gatepost_core.settings import Settings, load
from gatepost_sasl.backends.build import names_of
from gatepost_sasl.backends.build_ldap import problems
from gatepost_sasl.chain import unreachable

DOCS = Path(__file__).parents[1] / "docs"
EXAMPLES = [
    (page.stem, number, text)
    for page in sorted((DOCS / "backends").glob("*.md"))
    for number, text in enumerate(re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL))
]


def settings_of(text: str, folder: Path) -> Settings:
    """Return the settings of an example, with its files in a folder of the test's own."""
    (folder / "secret").write_text("x")
    text = re.sub(r'bind_password_file = ".*"', f'bind_password_file = "{folder}/secret"', text)
    text = re.sub(r'ca_file = ".*"', 'ca_file = ""', text)
    if not re.search(r"^\[", text, re.MULTILINE):  # a fragment that belongs into [ldap]
        text = f"[ldap]\n{text}"
    (folder / "gatepost.toml").write_text(text)
    return load(folder / "gatepost.toml", environ={})


@pytest.mark.parametrize(("page", "number", "text"), EXAMPLES)
def test_an_example_is_a_configuration_that_works(page: str, number: int, text: str, tmp_path: Path) -> None:
    settings = settings_of(text, tmp_path)
    assert unreachable([(name, names_of(settings, name)) for name in settings.sasl.backends]) is None
    if settings.ldap.servers:
        assert list(problems(settings.ldap)) == [], (page, number)


def test_there_are_examples_for_each_directory() -> None:
    assert {page for page, _, _ in EXAMPLES} >= {"ldap", "pam", "README"}
