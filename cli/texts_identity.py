"""What the commands of sign-in say, in English and Russian."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

IDENTITY: Final[Mapping[str, tuple[str, str]]] = {
    "alone_or_all": (
        "The roles llm and auth are served each alone, or both with api.",
        "Роли llm и auth обслуживаются каждая отдельно или обе вместе с api.",
    ),
    "arg_server": ("The server's address", "Адрес сервера"),
    "first_admin": (
        "Nobody has signed in yet. Open this link once to choose the password of {email}:\n  {url}",
        "Ещё никто не входил. Откройте ссылку (один раз), чтобы задать пароль для {email}:\n  {url}",
    ),
    "help_login": ("Sign in at a server, for --server", "Войти на сервер, для --server"),
    "help_login_long": (
        (
            "Sign in at a server. It prints a link: open it in a browser, compare the code and agree. Tokens are kept "
            "in the data folder, readable by you alone, and renewed by themselves."
        ),
        (
            "Войти на сервер. Команда печатает ссылку: откройте её в браузере, сравните код и согласитесь. Токены "
            "хранятся в папке данных, читать их можете только вы, и обновляются они сами."
        ),
    ),
    "help_logout": ("Give the tokens of a server back", "Вернуть токены сервера"),
    "help_logout_long": (
        "Give the tokens of a server back: they are dead at once, there and here.",
        "Вернуть токены сервера: они сразу перестают действовать и там, и здесь.",
    ),
    "help_signing_keys": ("Keys that tokens are signed with", "Ключи, которыми подписаны токены"),
    "help_signing_keys_long": (
        "Look at the keys that tokens are signed with, and replace the one that signs. It replaces itself as well.",
        "Посмотреть ключи, которыми подписаны токены, и заменить действующий. Он заменяется и сам.",
    ),
    "help_signing_keys_list": ("List keys, retired ones too.", "Список ключей, включая выведенные."),
    "help_signing_keys_rotate": (
        "Make a new key. It signs when every server can know it, in some five minutes; no token is lost.",
        "Создать новый ключ. Он начнёт подписывать минут через пять, когда его узнают все; токены не пропадут.",
    ),
    "needs_https": (
        "{server}: sign in over https:// only, or at a server on this machine.",
        "{server}: входить можно только по https:// или на сервере этого компьютера.",
    ),
    "no_sign_in_there": (
        "{server} offers no sign-in: it runs in local mode (give --token), or is no CodeLab server.",
        "{server} не предлагает вход: там локальный режим (нужен --token) или это не сервер CodeLab.",
    ),
    "no_signing_keys": (
        "There are no signing keys yet: a server in oauth mode makes the first one.",
        "Ключей подписи ещё нет: первый создаст сервер в режиме oauth.",
    ),
    "nobody_decided": ("Nobody agreed in time; try again.", "Никто не согласился вовремя; попробуйте ещё раз."),
    "not_revoked": (
        "Forgotten here, but {server} does not answer: its tokens live until they are over.",
        "Здесь забыто, но {server} не отвечает: его токены доживут до своего срока.",
    ),
    "open_and_confirm": (
        "Open {url}\nand agree if it shows the code {code}. Waiting …",
        "Откройте {url}\nи согласитесь, если там код {code}. Жду …",
    ),
    "opt_login_scope": (
        "Scopes, with spaces between; default: all but an administrator's",
        "Права через пробел; по умолчанию все, кроме прав администратора",
    ),
    "opt_rotate_now": (
        "It signs at once and all others are gone, for a key that leaked: everybody needs new tokens",
        "Подписывать сразу, остальные убрать: если ключ утёк. Всем понадобятся новые токены",
    ),
    "other_issuer": (
        "{server} says it is {issuer}: sign in there.",
        "{server} называет себя {issuer}: входите по этому адресу.",
    ),
    "refused_by_server": ("The server refused: {problem}", "Сервер отказал: {problem}"),
    "serving_identity": ("Sign-in and tokens are at {url}", "Вход и токены: {url}"),
    "sign_in_again": (
        "The login at {server} is over: codelab login {server}",
        "Вход на {server} закончился: codelab login {server}",
    ),
    "sign_in_page": ("Sign in at {url}/login", "Вход: {url}/login"),
    "signing_key_active": (
        "Key {kid} signs from now on; running servers know within seconds.",
        "Теперь подписывает ключ {kid}; работающие серверы узнают за несколько секунд.",
    ),
    "signing_key_pending": (
        "Key {kid} is shown to everybody now, and signs from {at}.",
        "Ключ {kid} уже показан всем и начнёт подписывать в {at}.",
    ),
    "signed_in": ("Signed in at {server}.", "Вы вошли на {server}."),
    "signed_out": ("Signed out of {server}.", "Вы вышли с {server}."),
}
