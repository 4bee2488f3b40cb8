"""`codelab doctor`: what is wrong, and what to do."""

from __future__ import annotations

from .lazy import examples, new_app
from .texts import say

app = new_app()


@app.command(help=say("help_doctor_long"), epilog=examples("codelab doctor"))
def doctor() -> None:
    """Check the machine."""
    from .ending import finish  # noqa: PLC0415
    from .inspection import examine  # noqa: PLC0415 - brings SQLAlchemy

    finish(examine())
