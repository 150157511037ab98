"""``gatepost settings`` and ``gatepost postfix-settings``: what is in force, and what Postfix needs."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from gatepost_core.postfix import main_cf, master_cf
from gatepost_core.settings import RouteSettings, fields, load

from .command import Gatepost


def test_every_setting_is_shown_with_its_origin(gatepost: Gatepost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEPOST_MILTER_THREADS", "9")
    shown = gatepost("--set", "log.level=debug", "settings", "--json").data
    assert list(shown) == [name for name, _ in fields()]
    assert shown["milter.threads"] == {
        "value": 9,
        "origin": "variable GATEPOST_MILTER_THREADS",
        "variable": "GATEPOST_MILTER_THREADS",
    }
    assert (shown["log.level"]["value"], shown["log.level"]["origin"]) == ("debug", "flag log.level")
    assert shown["keys.directory"]["origin"] == str(gatepost.config)
    assert shown["log.format"]["origin"] == "default"
    rows = [line.split("\t") for line in gatepost("settings").out.splitlines()]
    assert rows[0] == ["setting", "value", "from"]
    assert [row[0] for row in rows[1:]] == list(shown)


SCRAM = ("--set", "sasl.mechanisms=PLAIN,SCRAM-SHA-256")


@pytest.mark.parametrize("backends", ["store,pam", "ldap,store"])
def test_a_mechanism_that_some_users_cannot_use_is_remarked(gatepost: Gatepost, backends: str) -> None:
    shown = gatepost(*SCRAM, "--set", f"sasl.backends={backends}", "settings")
    other = "pam" if "pam" in backends else "ldap"
    assert f"SCRAM-SHA-256, which users of {other} cannot use" in shown.err
    assert shown.out.startswith("setting\t")


def test_where_everybody_can_use_it_nothing_is_remarked(gatepost: Gatepost) -> None:
    assert not gatepost(*SCRAM, "settings").err
    assert not gatepost("--set", "sasl.backends=store,pam", "settings").err


def test_a_secret_is_never_shown(gatepost: Gatepost) -> None:
    for words in (["settings"], ["settings", "--json"]):
        for options in ([], ["--set", "store.url=sqlite:////hunter2.db"]):
            result = gatepost(*options, *words)
            assert "hunter2" not in result.out + result.err
            assert "sqlite" not in result.out
    assert gatepost("settings", "--json").data["store.url"]["value"] == "***"


def test_the_sample_loads_and_says_the_defaults_when_its_settings_are_uncommented(
    gatepost: Gatepost, tmp_path: Path
) -> None:
    sample = gatepost("settings", "--sample").out
    defaults = load(write(tmp_path, ""), environ={}).model_dump()
    assert load(write(tmp_path, sample), environ={}).model_dump() == defaults
    uncommented = re.sub(r"^#(?! )", "", sample, flags=re.MULTILINE)
    uncommented = uncommented.replace("[routes.NAME]", "[routes.one]")  # each is the operator's to name
    values = tomllib.loads(uncommented)
    assert list(values.pop("routes")) == ["one"]
    names = {f"{section}.{field}" for section, table in values.items() for field in table}
    assert names == {name for name, _ in fields()}
    found = load(write(tmp_path, uncommented), environ={}).model_dump()
    assert found.pop("routes") == {"one": RouteSettings().model_dump()}
    assert found | {"routes": {}} == defaults
    assert gatepost("settings", "--sample", "--json").data["sample"].strip() == sample.strip()


def write(folder: Path, text: str) -> Path:
    path = folder / "sample.toml"
    path.write_text(text)
    return path


HOST = ("--set", "postfix.scope=host")


def test_postfix_settings_name_every_parameter_and_its_reason(gatepost: Gatepost) -> None:
    settings = load(gatepost.config, {"postfix.scope": "host"}, environ={})
    text = gatepost(*HOST, "postfix-settings").out
    flat = re.sub(r"\n# ", " ", text)
    for parameter in main_cf(settings, []):
        assert f"\n{parameter.line}\n" in text
        assert parameter.reason in flat
    for service in master_cf(settings):
        assert service.entry in text
        assert service.reason in flat
    data = gatepost(*HOST, "postfix-settings", "--json").data
    assert [row["name"] for row in data["main_cf"]] == [row.name for row in main_cf(settings, [])]
    assert data["master_cf"][0]["entry"].startswith("smtp inet ")
    assert gatepost(*HOST, "postfix-settings", "--format", "json").data == data


def test_postfix_settings_name_the_registered_bounce_domains(gatepost: Gatepost) -> None:
    assert gatepost("domain", "add", "example.test", "--account", "acme").code == 0
    assert "\nrelay_domains = bounces.example.test\n" in gatepost(*HOST, "postfix-settings").out


def test_postfix_settings_can_be_had_before_the_store_is_made(gatepost: Gatepost, tmp_path: Path) -> None:
    words = ["--set", f"store.url=sqlite:///{tmp_path}/none.db", "postfix-settings"]
    result = gatepost(*words)
    assert result.code == 0
    assert "does not exist yet" in result.err
    assert gatepost(*words, "--json").err == ""


def test_the_postconf_commands_make_what_the_text_says(gatepost: Gatepost, tmp_path: Path) -> None:
    folder = tmp_path / "postfix"
    folder.mkdir()
    (folder / "main.cf").write_text("myhostname = mx.example.test\nsmtpd_relay_restrictions = permit\n")
    (folder / "master.cf").write_text("smtp inet n - y - - smtpd\n  -o smtpd_tls_security_level=none\n")
    gatepost("domain", "add", "example.test", "--account", "acme")
    script = gatepost(*HOST, "postfix-settings", "--format", "postconf", "--force").out
    shell = subprocess.run(
        ["/bin/sh", "-eu", "-c", script],
        env={"PATH": "/usr/sbin:/usr/bin:/bin", "MAIL_CONFIG": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert shell.stderr == ""
    wanted = tmp_path / "wanted"
    wanted.mkdir()
    main, master = gatepost(*HOST, "postfix-settings").out.split("# ---- master.cf ----\n")
    (wanted / "main.cf").write_text(f"myhostname = mx.example.test\n{main}")
    (wanted / "master.cf").write_text(master)
    for option in ("-n", "-M", "-P"):
        made, meant = (postconf(where, option) for where in (folder, wanted))
        assert made == meant
        assert made


def test_the_commands_for_a_postfix_with_other_work_add_to_its_lists_once(
    gatepost: Gatepost, tmp_path: Path
) -> None:
    main = "relay_domains = other.example\nsmtpd_milters = inet:127.0.0.1:8891\n"
    (tmp_path / "main.cf").write_text(main)
    (tmp_path / "master.cf").write_text("smtp inet n - y - - smtpd\n")
    words = ["--set", "postfix.scope=ports", "--set", "postfix.ports=25,587"]
    script = gatepost(*words, "postfix-settings", "--format", "postconf", "--force").out
    for _ in range(2):
        subprocess.run(
            ["/bin/sh", "-eu", "-c", script],
            env={"PATH": "/usr/sbin:/usr/bin:/bin", "MAIL_CONFIG": str(tmp_path)},
            capture_output=True,
            timeout=120,
            check=True,
        )
    found = postconf(tmp_path, "-n")
    assert "relay_domains = other.example $gatepost_bounce_domains" in found
    assert "smtpd_milters = inet:127.0.0.1:8891" in found


def postconf(folder: Path, option: str) -> list[str]:
    run = subprocess.run(
        ["/usr/sbin/postconf", "-c", folder, option], capture_output=True, text=True, check=True
    )
    assert run.stderr == ""
    lines = (" ".join(line.split()) for line in run.stdout.replace("\n    ", " ").splitlines())
    return sorted(line for line in lines if not line.startswith("config_directory"))
