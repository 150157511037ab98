"""Settings: one definition, three sources, and a text that names what is wrong and where."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.settings import (
    Settings,
    SettingsError,
    fields,
    is_secret,
    load,
    sections,
    tables,
    variable,
)


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "gatepost.toml"
    path.write_text(text)
    return path


def test_every_setting_has_prose_and_a_default() -> None:
    assert len(list(sections())) + len(list(tables())) == len(Settings.model_fields)
    for name, info in fields():
        assert info.description, name
        assert info.description.endswith("."), name
        assert not info.is_required(), name
    for name, _, prose in sections():
        assert prose, name


def test_flags_go_before_variables_and_variables_before_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "[sasl]\nworkers = 3\nfailure_delay = 1.5\n[log]\nlevel = 'error'\n")
    environ = {"GATEPOST_SASL_WORKERS": "4", "GATEPOST_LOG_LEVEL": "warning", "HOME": "/root"}
    settings = load(path, {"log.level": "debug"}, environ)
    assert (settings.sasl.workers, settings.sasl.failure_delay, settings.log.level) == (4, 1.5, "debug")
    assert settings.origin("sasl.failure_delay") == str(path)
    assert settings.origin("sasl.workers") == "variable GATEPOST_SASL_WORKERS"
    assert settings.origin("log.level") == "flag log.level"
    assert settings.origin("log.format") == "default"


def test_the_file_is_named_by_a_variable_too(tmp_path: Path) -> None:
    path = write(tmp_path, "[milter]\nthreads = 7\n")
    assert load(environ={"GATEPOST_CONFIG": str(path)}).milter.threads == 7


def test_lists_are_written_with_commas_in_variables_and_flags() -> None:
    settings = load(
        overrides={"sasl.mechanisms": "login, plain"}, environ={"GATEPOST_POLICY_BOUNCE_PORTS": "25,10025"}
    )
    assert settings.sasl.mechanisms == ("LOGIN", "PLAIN")
    assert settings.policy.bounce_ports == (25, 10025)


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, "[sasl]\nworkers = 0\n[milter]\nthreads = 99\n")
    with pytest.raises(SettingsError) as refused:
        load(path, environ={})
    assert len(str(refused.value).splitlines()) == 2


def test_a_misspelt_variable_or_flag_is_an_error() -> None:
    with pytest.raises(SettingsError, match="did you mean GATEPOST_SASL_WORKERS"):
        load(environ={"GATEPOST_SASL_WORKER": "3"})
    with pytest.raises(SettingsError, match=r"did you mean milter\.threads"):
        load(overrides={"milter.thread": "3"}, environ={})


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load(tmp_path / "nowhere.toml", environ={})


def test_a_secret_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("sqlite:////x/d.db\n")
    settings = load(write(tmp_path, f"[store]\nurl_file = '{tmp_path}/url'\n"), environ={})
    assert settings.store.url == "sqlite:////x/d.db"
    assert str(tmp_path / "url") in settings.origin("store.url")
    assert load(environ={"GATEPOST_STORE_URL_FILE": f"{tmp_path}/url"}).store.url == settings.store.url


def test_a_secret_given_twice_or_in_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    twice = write(tmp_path, "[store]\nurl = 'sqlite:////x'\nurl_file = '/nowhere'\n")
    with pytest.raises(SettingsError, match=r"store\.url and store\.url_file are both set"):
        load(twice, environ={})
    with pytest.raises(SettingsError, match=r"store\.url_file: /nowhere cannot be read"):
        load(environ={"GATEPOST_STORE_URL_FILE": "/nowhere"})


def test_a_secret_is_neither_in_an_error_nor_in_an_origin() -> None:
    with pytest.raises(SettingsError) as refused:
        load(overrides={"store.url": "postgresql://u:hunter2@h/d"}, environ={})
    assert "hunter2" not in str(refused.value)
    settings = load(overrides={"store.url": "sqlite:////hunter2"}, environ={})
    assert "hunter2" not in settings.origin("store.url")


def test_the_journal_is_beside_the_directory_unless_it_is_named() -> None:
    assert load(overrides={"store.url": "sqlite:////a/b/d.db"}, environ={}).store.journal == (
        "sqlite:////a/b/journal.db"
    )
    assert load(overrides={"store.journal_url": "sqlite:////j.db"}, environ={}).store.journal == (
        "sqlite:////j.db"
    )


def test_every_setting_has_a_variable_of_its_own() -> None:
    names = [variable(name) for name, _ in fields()]
    names += [variable(f"{name}_file") for name, info in fields() if is_secret(info)]
    assert len(set(names)) == len(names)


@given(st.sampled_from([name for name, _ in fields()]), st.text(max_size=20))
def test_any_text_for_a_setting_is_taken_or_refused_with_its_name(name: str, text: str) -> None:
    text_of_error = ""
    try:
        load(overrides={name: text}, environ={})
    except SettingsError as error:
        text_of_error = str(error)
    assert not text_of_error or name in text_of_error


def test_further_files_beside_the_settings_file_win_in_the_order_of_their_names(tmp_path: Path) -> None:
    main = tmp_path / "gatepost.toml"
    main.write_text("[milter]\nworkers = 3\n[sasl]\nworkers = 3\n[policy]\nworkers = 3\n")
    further = tmp_path / "gatepost.d"
    further.mkdir()
    (further / "10-a.toml").write_text("[sasl]\nworkers = 4\n[policy]\nworkers = 4\n")
    (further / "20-b.toml").write_text("[policy]\nworkers = 5\n")
    (further / "notes.txt").write_text("not a settings file")
    settings = load(main, environ={})
    assert (settings.milter.workers, settings.sasl.workers, settings.policy.workers) == (3, 4, 5)
    assert settings.origin("policy.workers") == str(further / "20-b.toml")
    (further / "30-c.toml").write_text("[policy]\nwrokers = 5\n")
    with pytest.raises(SettingsError, match=r"30-c\.toml: policy\.wrokers"):
        load(main, environ={})
