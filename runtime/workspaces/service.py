"""Register folders and open them for agents."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ...core.errors import InvalidInput, NotFound
from ...core.types import Principal, new_id, utc_now
from ...store.engine import Database
from ...store.models import WorkspaceRow
from ...tools.workspace import Workspace as Folder
from ...tools.workspaces.local import LocalWorkspace
from ..scope import owned_by
from .repository import all_workspaces, by_path, get_workspace
from .schemas import Workspace

_PLAIN: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._@-]{0,127}")


class WorkspaceService:
    """Which folders agents may work in: those below the configured roots, and those the host itself gives.

    Args:
        database: Where the rows are.
        roots: Folders below which anybody may register one; `{user}` and `{tenant}` in them are whoever registers.
    """

    def __init__(self, database: Database, *, roots: Sequence[Path] = ()) -> None:
        self._database = database
        self._roots = tuple(roots)

    async def register(
        self, principal: Principal, path: str | Path, name: str | None = None, *, trusted: bool = False
    ) -> Workspace:
        """Register a folder, or return the workspace that it already is.

        Args:
            principal: Who registers it.
            path: The folder.
            name: What people call it; the folder's own name if left out.
            trusted: The host names the folder itself (`serve -w`, the command line): it need not lie below a root.

        Raises:
            InvalidInput: `path_refused`: not a folder, not below a root, or `/` or the home folder itself.
        """
        real = await asyncio.to_thread(_checked, Path(path), None if trusted else self._roots_of(principal))
        async with self._database.transaction() as session:
            row = await by_path(session, principal, str(real))
            if row is None:
                row = WorkspaceRow(
                    id=new_id(), name=name or real.name, path=str(real), created_at=utc_now(), **owned_by(principal)
                )
                session.add(row)
            return Workspace.model_validate(row)

    async def list(self, principal: Principal) -> list[Workspace]:
        """List the principal's workspaces, oldest first."""
        async with self._database.read() as session:
            return [Workspace.model_validate(row) for row in await all_workspaces(session, principal)]

    async def get(self, principal: Principal, workspace_id: str) -> Workspace:
        """Fetch one; `NotFound` when there is none of this principal's."""
        async with self._database.read() as session:
            return Workspace.model_validate(await get_workspace(session, principal, workspace_id))

    async def open(self, principal: Principal, workspace_id: str) -> Folder:
        """Open one for an agent; `NotFound` too when the folder is gone."""
        workspace = await self.get(principal, workspace_id)
        root = Path(workspace.path)
        if not await asyncio.to_thread(root.is_dir):
            raise NotFound(f"The folder of workspace {workspace.name!r} is gone: {workspace.path}")
        return LocalWorkspace(root, id=workspace.id)

    def _roots_of(self, principal: Principal) -> Sequence[Path]:
        """The roots for a person, with their own filled in; none of them for whoever has no name for a folder."""
        names = {"{user}": principal.user_id, "{tenant}": principal.tenant_id}
        found = []
        for root in map(str, self._roots):
            asked = [name for name in names if name in root]
            if all(_PLAIN.fullmatch(names[name]) for name in asked):
                found.append(Path(_filled(root, names)))
        return found


def _filled(root: str, names: Mapping[str, str]) -> str:
    for name, value in names.items():
        root = root.replace(name, value)
    return root


def _checked(path: Path, roots: Sequence[Path] | None) -> Path:
    """The real folder; what lies outside the roots is refused before it is looked at, so that nobody learns of it."""
    try:
        real = path.expanduser().resolve()
        if roots is not None and not any(real.is_relative_to(root.expanduser().resolve()) for root in roots):
            raise _refused(path, "it does not lie below one of CODELAB_WORKSPACES__ROOTS")
        found = real.is_dir()
    except (ValueError, OSError, RuntimeError) as exc:
        raise _refused(path, "that is not a path") from exc
    if not found:
        raise _refused(path, "there is no such folder")
    if real in {Path(real.anchor), Path.home().resolve()}:
        raise _refused(path, "the root and the home folder are no workspaces; name a project folder")
    return real


def _refused(path: Path, why: str) -> InvalidInput:
    return InvalidInput(f"{path} cannot be a workspace: {why}", code="path_refused")
