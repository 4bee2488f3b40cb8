"""An outage is known by its cause, however deep it lies."""

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from codelab.store.outage import is_outage


def caused_by(cause: BaseException) -> BaseException:
    outer = ValueError("outer")
    outer.__cause__ = cause
    return outer


@pytest.mark.parametrize(
    "failure",
    [
        psycopg.OperationalError("server closed the connection"),
        psycopg.errors.AdminShutdown("terminating connection"),
        OperationalError("SELECT 1", {}, psycopg.OperationalError("gone")),
        caused_by(psycopg.OperationalError("gone")),
    ],
)
def test_a_connection_that_ended(failure: BaseException) -> None:
    assert is_outage(failure)


@pytest.mark.parametrize("failure", [None, ValueError("x"), psycopg.errors.UniqueViolation("twice"), TimeoutError()])
def test_anything_else(failure: BaseException | None) -> None:
    assert not is_outage(failure)
