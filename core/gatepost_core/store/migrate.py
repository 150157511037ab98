"""Bringing the databases to this release's schema, with Alembic.

Each database has its own database of migrations. Running it twice changes nothing. New files
are made with mode 0640 and belong to the owner of their directory. A way back is part of every migration:
the newer release takes a database back to the schema of the one before it. Migrations only add what has a
default, so that the release before can go on while the next one is put in. Schemas are numbered: a database
whose number is unknown was made by a newer release, or is older than this one can upgrade.
"""

from __future__ import annotations

import os
from pathlib import Path

from alembic import command, util
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from gatepost_core.domain.errors import NotFound, StoreError, StoreUnavailable
from gatepost_core.settings import StoreSettings
from gatepost_core.store.backend import DATABASES, Database
from gatepost_core.store.sqlite.engine import database_file, faults, open_engine
from gatepost_core.store.sqlite.locate import url_of

__all__ = [
    "DATABASES",
    "LAST_BEFORE_RELEASE",
    "MIGRATIONS",
    "Database",
    "behind",
    "downgrade_one",
    "head",
    "knows",
    "older",
    "revision",
    "upgrade",
    "upgrade_one",
    "url_of",
]

# The last version of Gatepost that knows the schemas from before the first release.
LAST_BEFORE_RELEASE = "d95cc4a"
MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(settings: StoreSettings) -> dict[Database, tuple[str | None, str | None]]:
    """Create or upgrade both databases; return each one's revision before and after.

    Raises StoreUnavailable when a file cannot be made or written.
    """
    return {database: upgrade_one(settings, database) for database in DATABASES}


def behind(settings: StoreSettings, database: Database) -> bool:
    """Say whether a database is missing, or not at this release's schema. Raises StoreUnavailable."""
    url = url_of(settings, database)
    if not database_file(url).exists():
        return True
    engine = open_engine(url, reading=True)
    try:
        with faults(url):
            return _revision(engine) != _scripts(database).get_current_head()
    finally:
        engine.dispose()


def upgrade_one(settings: StoreSettings, database: Database) -> tuple[str | None, str | None]:
    """Create or upgrade one database; return its revision before and after.

    Raises StoreUnavailable, also for a schema from which this release has no way; then nothing is changed.
    """
    url = url_of(settings, database)
    with faults(url):
        _create_file(database_file(url))
        engine = open_engine(url)
        try:
            before = _revision(engine)
            if before is not None and not knows(database, before):
                raise StoreUnavailable(f"{database_file(url)}: {_stranger(database, before)}")
            config = _config(database)
            with engine.begin() as connection:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
            return before, _revision(engine)
        finally:
            engine.dispose()


def revision(settings: StoreSettings, database: Database) -> str | None:
    """Return the schema that a database has, None when there is none. Raises StoreUnavailable."""
    url = url_of(settings, database)
    if not database_file(url).exists():
        return None
    engine = open_engine(url, reading=True)
    try:
        with faults(url):
            return _revision(engine)
    finally:
        engine.dispose()


def head(database: Database) -> str:
    """Return the schema that this release works with."""
    return _scripts(database).get_current_head() or ""


def knows(database: Database, name: str) -> bool:
    """Say whether this release has a way from and to a schema."""
    return name in {script.revision for script in _scripts(database).walk_revisions()}


def older(database: Database, name: str) -> bool:
    """Say whether a schema is older than the one that this release works with."""
    return name < head(database)


def _stranger(database: Database, name: str) -> str:
    """Return what to tell, and what to do, of a schema that this release does not know."""
    if older(database, name):
        return (
            f"has schema {name} of a version before the first release, expected {head(database)}; "
            f"run 'gatepost store upgrade' of commit {LAST_BEFORE_RELEASE} first, then this one's"
        )
    return (
        f"has schema {name} of a newer release, expected {head(database)} at the most; install that release, "
        "let it run 'gatepost store downgrade', or restore a backup of this release's time"
    )


def downgrade_one(settings: StoreSettings, database: Database, target: str) -> tuple[str, str]:
    """Take one database back to an older schema; return its revision before and after.

    What only the newer schema can hold is lost. Raises NotFound for a schema that this release does not
    know, StoreError for one that is newer than the database's, StoreUnavailable.
    """
    url = url_of(settings, database)
    before = revision(settings, database)
    if before is None or not knows(database, target):
        raise NotFound(f"{database}: this release has no way from schema {before} to {target}")
    engine = open_engine(url)
    try:
        config = _config(database)
        with faults(url), engine.begin() as connection:
            config.attributes["connection"] = connection
            command.downgrade(config, target)
    except util.CommandError as error:
        raise StoreError(f"{database}: {target} is not older than {before}, the schema it has") from error
    finally:
        engine.dispose()
    return before, target


def _create_file(path: Path) -> None:
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    owner = path.parent.stat()
    if not path.exists():
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o640)
        # Whatever the caller's umask: daemons of other users read it by its group.
        os.fchmod(descriptor, 0o640)
        os.close(descriptor)
        if os.geteuid() == 0:
            os.chown(path, owner.st_uid, owner.st_gid)


def _revision(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def _config(database: Database) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS / database))
    config.set_main_option("path_separator", "os")
    return config


def _scripts(database: Database) -> ScriptDirectory:
    return ScriptDirectory.from_config(_config(database))
