"""What `codelab roles` says, in English and Russian."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ROLES: Final[Mapping[str, tuple[str, str]]] = {
    "arg_role": ("A role's name (`codelab roles list`)", "Имя роли (`codelab roles list`)"),
    "arg_role_user": ("A person's address or id (`codelab users list`)", "Адрес или номер (`codelab users list`)"),
    "help_roles": ("What people may do", "Что людям разрешено"),
    "help_roles_long": (
        "Make roles and give them to people. This acts on the database, for AUTH__MODE=oauth.",
        "Создать роли и дать их людям. Работает с базой, для AUTH__MODE=oauth.",
    ),
    "help_roles_create": ("Make a role.", "Создать роль."),
    "help_roles_delete": ("Delete a role; nobody has it afterwards.", "Удалить роль; она исчезнет у всех."),
    "help_roles_grant": ("Give somebody a role.", "Дать роль."),
    "help_roles_list": ("List roles, with what they come to.", "Список ролей и того, что они разрешают."),
    "help_roles_revoke": ("Take a role from somebody.", "Отобрать роль."),
    "no_such_user": (
        "There is nobody with this address or id: {user}",
        "Нет никого с таким адресом или номером: {user}",
    ),
    "opt_role_description": ("What it is for", "Для чего она"),
    "opt_role_parent": (
        "A role whose permissions it has too; may be given several times",
        "Роль, чьи разрешения в неё входят; можно указать несколько",
    ),
    "opt_role_permission": ("A permission; may be given several times", "Разрешение; можно указать несколько"),
    "role_deleted": ("{name} is deleted.", "{name} удалена."),
    "role_made": ("{name} permits: {permissions}", "{name} разрешает: {permissions}"),
    "roles_now": ("{user}: {roles}", "{user}: {roles}"),
}
