"""What `codelab users` says, in English and Russian."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

USERS: Final[Mapping[str, tuple[str, str]]] = {
    "arg_email": ("An e-mail address", "Адрес электронной почты"),
    "arg_user": ("A person's address or id (`codelab users list`)", "Адрес или номер (`codelab users list`)"),
    "help_users": ("People and their roles", "Люди и их роли"),
    "help_users_long": (
        "Make accounts, invite people, let them in or not. This acts on the database, for AUTH__MODE=oauth.",
        "Создать учётные записи, пригласить людей, впустить их или нет. Работает с базой, для AUTH__MODE=oauth.",
    ),
    "help_users_create": (
        "Make an account and print the link with which its person chooses a password; it is mailed, too.",
        "Создать учётную запись и показать ссылку для выбора пароля; она уходит и письмом.",
    ),
    "help_users_list": ("List people, with their roles.", "Список людей и их ролей."),
    "help_users_invite": (
        "Print a link with which somebody makes their own account, once; with an address it is mailed, too.",
        "Показать ссылку, по которой можно один раз создать учётную запись; если указан адрес, она уходит и письмом.",
    ),
    "help_users_disable": (
        "Let somebody in no more; their sessions and tokens end.",
        "Больше не впускать; сессии и токены прекращаются.",
    ),
    "help_users_enable": ("Let somebody in again.", "Снова впускать."),
    "help_users_reset_link": (
        "Print a link with which somebody chooses another password, once.",
        "Показать ссылку, по которой можно один раз задать новый пароль.",
    ),
    "help_users_roles": ("Show somebody's roles; give and take some.", "Показать роли; дать или отобрать."),
    "invite_made": (
        "{link}\nWhoever has this link may make an account until {until}; it is shown only now.",
        "{link}\nПо этой ссылке можно создать учётную запись до {until}; она показана только сейчас.",
    ),
    "invites_are_off": (
        "Nobody can use it yet: set CODELAB_AUTH__REGISTRATION=invite and start the server anew.",
        "Пока ею нельзя воспользоваться: задайте CODELAB_AUTH__REGISTRATION=invite и перезапустите сервер.",
    ),
    "no_users": ("There is nobody.", "Никого нет."),
    "opt_grant": ("A role to give; may be given several times", "Дать роль; можно указать несколько"),
    "opt_invite_days": ("Days that the link is good", "Сколько дней действует ссылка"),
    "opt_take": ("A role to take; may be given several times", "Отобрать роль; можно указать несколько"),
    "opt_user_name": ("What people call them", "Имя для людей"),
    "opt_user_role": (
        "A role they get; may be given several times; default: member",
        "Их роль; можно указать несколько; обычно member",
    ),
    "reset_made": (
        "{link}\nWith this link {email} chooses another password, once, within three days.",
        "{link}\nПо этой ссылке {email} задаст новый пароль, один раз, в течение трёх дней.",
    ),
    "user_disabled": ("{email} is let in no more.", "{email} больше не впускают."),
    "user_enabled": ("{email} is let in again.", "{email} снова впускают."),
    "user_has_roles": ("{email}: {roles}", "{email}: {roles}"),
    "user_made": (
        "{link}\nWith this link {email} chooses a password, once, within three days. Their id is {id}.",
        "{link}\nПо этой ссылке {email} выберет пароль, один раз, в течение трёх дней. Номер: {id}.",
    ),
}
