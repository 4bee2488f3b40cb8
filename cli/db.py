"""`codelab db`: the database's schema."""

from __future__ import annotations

from .lazy import examples, new_app
from .texts import say

app = new_app(help=say("help_db"), no_args_is_help=True, epilog=examples("codelab db upgrade"))


@app.callback()
def db() -> None:
    """Keep `upgrade` a command of its own."""


@app.command(help=say("help_db_upgrade"))
def upgrade() -> None:
    """Bring the schema to head."""
    from .ending import finish  # noqa: PLC0415
    from .inspection import upgrade_database  # noqa: PLC0415 - brings SQLAlchemy

    finish(upgrade_database())
