"""What `codelab clients` says, in English and Russian."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CLIENTS: Final[Mapping[str, tuple[str, str]]] = {
    "arg_client": ("A client's id (`codelab clients list`)", "Номер клиента (`codelab clients list`)"),
    "arg_client_name": ("What people are asked about", "Название, о котором спросят людей"),
    "bad_jwks": ("{path} is no JSON file of public keys (a JWK set)", "{path} — не файл открытых ключей (JWK set)"),
    "client_deleted": (
        "Deleted, with all its tokens: {id}. Servers know within two seconds.",
        "Удалён вместе со всеми токенами: {id}. Серверы узнают в течение двух секунд.",
    ),
    "client_disabled": (
        "Disabled; its tokens are dead: {name} ({id}). Servers know within two seconds.",
        "Отключён, токены не действуют: {name} ({id}). Серверы узнают в течение двух секунд.",
    ),
    "client_enabled": ("Enabled: {name} ({id})", "Включён: {name} ({id})"),
    "client_made": ("client_id: {id}", "client_id: {id}"),
    "client_secret_made": (
        "client_secret: {secret}\nIt is shown this once.",
        "client_secret: {secret}\nБольше он показан не будет.",
    ),
    "help_clients": ("Applications and service accounts", "Приложения и служебные учётные записи"),
    "help_clients_long": (
        (
            "Register programs that get tokens: applications that people sign in to, and service accounts. This acts "
            "on the database, for AUTH__MODE=oauth."
        ),
        (
            "Зарегистрировать программы, которым нужны токены: приложения, куда входят люди, и служебные учётные "
            "записи. Работает с базой, для AUTH__MODE=oauth."
        ),
    ),
    "help_clients_create": (
        "Register a client and print its id and secret. The secret is shown this once.",
        "Зарегистрировать клиента и показать его номер и секрет. Секрет показывается один раз.",
    ),
    "help_clients_list": ("List clients, newest first.", "Список клиентов, сначала новые."),
    "help_clients_rotate": (
        "Give a client another secret; the old one is good for a while, so that nobody stands still.",
        "Выдать клиенту новый секрет; старый какое-то время действует, чтобы ничего не остановилось.",
    ),
    "help_clients_disable": (
        "Let a client have no tokens, and end those it has.",
        "Не выдавать клиенту токены и отозвать выданные.",
    ),
    "help_clients_enable": ("Let a client have tokens again.", "Снова выдавать клиенту токены."),
    "help_clients_delete": (
        "Delete a client, end its tokens, and forget what people allowed it.",
        "Удалить клиента, отозвать его токены и забыть, что ему разрешили люди.",
    ),
    "no_clients": ("No clients yet.", "Клиентов пока нет."),
    "old_secret_until": ("The old secret is good until {until}.", "Старый секрет действует до {until}."),
    "opt_audience": (
        "A resource it may get tokens for, or that it is itself; may be repeated",
        "Ресурс, для которого он получает токены или которым сам является; можно повторять",
    ),
    "opt_auth_method": (
        "none (public), client_secret_basic, client_secret_post or private_key_jwt",
        "none (открытый), client_secret_basic, client_secret_post или private_key_jwt",
    ),
    "opt_client_scope": ("What it may ask for; may be repeated", "О чём он может просить; можно повторять"),
    "opt_first_party": ("Do not ask people whether it may", "Не спрашивать у людей разрешения"),
    "opt_grace": ("Hours that the old secret is good for; 0: it is dead at once", "Сколько часов действует старый"),
    "opt_client_grant": (
        "authorization_code, refresh_token, client_credentials, password or device; may be repeated",
        "authorization_code, refresh_token, client_credentials, password или device; можно повторять",
    ),
    "opt_jwks": ("A file with its public keys, for private_key_jwt", "Файл с открытыми ключами для private_key_jwt"),
    "opt_redirect": (
        "Where people are led back to, letter for letter; may be repeated",
        "Адрес возврата, буква в букву; можно повторять",
    ),
    "opt_service": (
        "A service account: a secret and client_credentials, unless told otherwise",
        "Служебная запись: секрет и client_credentials, если не указано иное",
    ),
}
