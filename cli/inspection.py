"""Looking at the machine: `codelab doctor`, and `codelab db upgrade`."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import httpx
import typer
from sqlalchemy.exc import SQLAlchemyError

from ..core.errors import CodeLabError
from ..core.settings import Settings
from ..core.settings_llm import LLMSettings
from ..llm.models import build_models
from ..store.engine import Database
from ..store.migrate import current_revision, head_revision, upgrade
from .ending import DONE, FAILED
from .terminal import clean
from .texts import say

Finding = tuple[bool, str]
"""Whether it is well, and what there is to say."""

_OLDEST_PYTHON: Final = (3, 11)
_HTTP_S: Final = 5


async def upgrade_database() -> int:
    """Bring the configured database to head."""
    database = Database(Settings().database_url)
    try:
        await upgrade(database)
        typer.echo(say("db_at_head", revision=await current_revision(database)))
    finally:
        await database.close()
    return DONE


async def examine() -> int:
    """Look at everything a start needs; 1 when something is wrong."""
    settings = Settings()
    checks: Mapping[str, Callable[[Settings], Awaitable[Finding]]] = {
        "python": _python,
        "git": _git,
        "data": _data_dir,
        "database": _database,
        "model": _model,
    }
    well = True
    for name, check in checks.items():
        ok, words = await check(settings)
        well = well and ok
        typer.echo(f"{say('ok') if ok else say('bad'):<4} {say('check_' + name):<16} {clean(words)}")
    return DONE if well else FAILED


async def _python(_settings: Settings) -> Finding:
    ok = sys.version_info >= _OLDEST_PYTHON
    return ok, platform.python_version() if ok else say("do_python", version=platform.python_version())


async def _git(_settings: Settings) -> Finding:
    path = shutil.which("git")
    if path is None:
        return False, say("do_git")
    process = await asyncio.create_subprocess_exec(path, "--version", stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return process.returncode == 0, out.decode("utf-8", "replace").strip()


async def _data_dir(settings: Settings) -> Finding:
    existing = settings.data_dir
    while not await asyncio.to_thread(existing.exists):
        existing = existing.parent
    ok = await asyncio.to_thread(os.access, existing, os.W_OK)
    return ok, str(settings.data_dir) if ok else say("do_data", path=settings.data_dir)


async def _database(settings: Settings) -> Finding:
    try:
        database = Database(settings.database_url)
    except (CodeLabError, SQLAlchemyError) as exc:
        return False, str(exc)
    if database.file is not None and not await asyncio.to_thread(database.file.exists):
        return True, say("db_will_be_made", path=database.file)
    try:
        revision = await current_revision(database)
    except (SQLAlchemyError, OSError) as exc:
        return False, say("do_database", problem=str(exc).splitlines()[0])
    finally:
        await database.close()
    if revision == head_revision() or database.is_sqlite:
        return True, database.url.render_as_string(hide_password=True)
    return False, say("do_upgrade")


async def _model(settings: Settings) -> Finding:
    try:
        build_models(settings.llm)
    except CodeLabError as exc:
        return False, exc.message
    base_url = settings.llm.base_url or os.environ.get("OPENAI_BASE_URL")
    key = settings.llm.api_key.get_secret_value() if settings.llm.api_key else os.environ.get("OPENAI_API_KEY", "")
    if not base_url:
        return True, say("model_default" if key else "model_demo", name=settings.llm.models.strong)
    return await _endpoint(settings.llm, base_url, key)


async def _endpoint(llm: LLMSettings, base_url: str, key: str) -> Finding:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    try:
        async with httpx.AsyncClient(timeout=_HTTP_S) as http:
            response = await http.get(f"{base_url.rstrip('/')}/models", headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        return False, say("do_endpoint", url=base_url, problem=str(exc) or type(exc).__name__)
    if response.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        return False, say("do_key", url=base_url)
    return True, say("model_ok", url=base_url, name=llm.models.strong)
