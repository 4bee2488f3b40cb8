"""What the commands say, in English and Russian. `CODELAB_LANG`, else the locale, chooses."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from .texts_clients import CLIENTS
from .texts_help import HELP
from .texts_identity import IDENTITY
from .texts_roles import ROLES
from .texts_users import USERS

SPOKEN: Final[Mapping[str, tuple[str, str]]] = {
    "again_to_leave": ("Ctrl-C again (or /exit) leaves.", "Ещё раз Ctrl-C (или /exit) — выход."),
    "agent_is": ("Next: {name}", "Теперь: {name}"),
    "asks": ("{agent} asks: {tool} (risk: {risk})", "{agent} просит разрешения: {tool} (риск: {risk})"),
    "bad": ("BAD", "СБОЙ"),
    "bad_edit": ("These arguments cannot be used: {problem}", "Такие аргументы не подходят: {problem}"),
    "bad_roles": (
        "Roles are api, gateway, llm and auth, with commas between them; api, llm or auth must be among them",
        "Роли — api, gateway, llm и auth через запятую; api, llm или auth нужны обязательно",
    ),
    "bad_settings": (
        "A setting is wrong: {problems} (see `codelab config`)",
        "Неверная настройка: {problems} (см. `codelab config`)",
    ),
    "broken": ("{problem} (`codelab doctor` looks for the cause)", "{problem} (причину поищет `codelab doctor`)"),
    "chat_hello": ("Say what to do; /help lists commands.", "Напишите, что сделать; /help — список команд."),
    "chat_help": (
        (
            "/new          begin a new thread\n"
            "/agent NAME   choose an agent; `auto` lets the router choose\n"
            "/diff         all changes of this thread\n"
            "/undo [TURN]  put the files of a turn back (the last one that changed any)\n"
            "/threads      list threads\n"
            "/exit         leave; the thread is kept\n"
            "Ctrl-C cancels the run and keeps the thread; a second one leaves."
        ),
        (
            "/new          начать новую беседу\n"
            "/agent ИМЯ    выбрать агента; `auto` — пусть выбирает маршрутизатор\n"
            "/diff         все изменения этой беседы\n"
            "/undo [ХОД]   вернуть файлы хода (последнего, что их менял)\n"
            "/threads      список бесед\n"
            "/exit         выйти; беседа сохранится\n"
            "Ctrl-C отменяет запуск и сохраняет беседу; второй Ctrl-C — выход."
        ),
    ),
    "chat_needs_terminal": (
        "A chat needs a terminal; use `codelab run` here.",
        "Для беседы нужен терминал; здесь подойдёт `codelab run`.",
    ),
    "check_data": ("data folder", "папка данных"),
    "check_database": ("database", "база данных"),
    "check_git": ("git", "git"),
    "check_model": ("model", "модель"),
    "check_python": ("Python", "Python"),
    "choose_a_key": ("Type one of the keys in brackets.", "Введите одну из букв в скобках."),
    "db_at_head": ("The database is at {revision}.", "Схема базы данных: {revision}."),
    "db_will_be_made": ("will be made at the first start: {path}", "будет создана при первом запуске: {path}"),
    "decided": ("Decided: {status}. Other calls of this step still wait.", "Решено: {status}. Шаг ждёт ещё решений."),
    "do_data": ("not writable: {path}; set CODELAB_DATA_DIR", "нет прав на запись: {path}; задайте CODELAB_DATA_DIR"),
    "do_database": (
        "no connection: {problem}; check CODELAB_DATABASE__URL",
        "нет соединения: {problem}; проверьте CODELAB_DATABASE__URL",
    ),
    "do_endpoint": (
        "{url} does not answer ({problem}); check CODELAB_LLM__BASE_URL",
        "{url} не отвечает ({problem}); проверьте CODELAB_LLM__BASE_URL",
    ),
    "do_git": ("not found; install git", "не найден; установите git"),
    "do_key": ("{url} refuses the key; check CODELAB_LLM__API_KEY", "{url} не принимает ключ (CODELAB_LLM__API_KEY)"),
    "do_python": ("{version} is too old; use 3.11 or newer", "{version} — слишком старый; нужен 3.11 или новее"),
    "do_upgrade": ("the schema is old; run `codelab db upgrade`", "старая схема; выполните `codelab db upgrade`"),
    "edit_json": ("Arguments (JSON): ", "Аргументы (JSON): "),
    "kept": ("Interrupted. The thread is kept: {thread}", "Прервано. Беседа сохранена: {thread}"),
    "key_approve": ("approve", "разрешить"),
    "key_edit": ("edit", "изменить"),
    "key_feedback": ("reject with a word of advice", "отклонить с советом"),
    "key_reject": ("reject", "отклонить"),
    "key_respond": ("answer in its place", "ответить вместо него"),
    "loopback_only": (
        "Local mode serves this machine only, {host} is reachable from others. Use 127.0.0.1.",
        "В локальном режиме сервер доступен только с этого компьютера, а {host} виден другим. Укажите 127.0.0.1.",
    ),
    "model_default": ("the provider's own endpoint, model {name}", "адрес поставщика по умолчанию, модель {name}"),
    "model_demo": (
        "the built-in demo model; set CODELAB_LLM__BASE_URL and CODELAB_LLM__MODELS__STRONG for a real one",
        "встроенная демо-модель; для настоящей задайте CODELAB_LLM__BASE_URL и CODELAB_LLM__MODELS__STRONG",
    ),
    "model_ok": ("{name} at {url}", "{name}, {url}"),
    "new_thread": ("The next message begins a new thread.", "Следующее сообщение начнёт новую беседу."),
    "no_changes": ("No changes.\n", "Изменений нет.\n"),
    "no_such_agent": ("There is no agent {name}; there are {known}.", "Нет агента {name}; есть {known}."),
    "no_such_command": ("There is no command {word}; /help lists them.", "Нет команды {word}; список — /help."),
    "no_threads": ("No threads yet.", "Бесед пока нет."),
    "no_token": (
        "{server} needs a credential: codelab login {server}, --token, or CODELAB_SERVER__TOKEN.",
        "Для {server} нужен доступ: codelab login {server}, --token или CODELAB_SERVER__TOKEN.",
    ),
    "not_an_object": ("not a JSON object", "это не объект JSON"),
    "not_json": ("its value is no JSON", "значение — не JSON"),
    "nothing_said": ("Nothing was said in this thread yet.", "В этой беседе ещё ничего не сказано."),
    "nothing_to_undo": ("No turn of this thread changed files.", "Ни один ход этой беседы не менял файлов."),
    "nothing_waits": ("Nothing waits for a decision.", "Ничто не ждёт решения."),
    "ok": ("ok", "ок"),
    "opened": ("Thread {thread} {title}", "Беседа {thread} {title}"),
    "removed": ("Removed {thread}.", "Удалено: {thread}."),
    "restarted": ("The run was taken up again (attempt {attempt}).", "Запуск возобновлён (попытка {attempt})."),
    "risk_high": ("high", "высокий"),
    "risk_low": ("low", "низкий"),
    "risk_medium": ("medium", "средний"),
    "router_chooses": ("the router chooses", "выбирает маршрутизатор"),
    "run_cancelled": ("Cancelled.", "Отменено."),
    "run_failed": ("The run failed: {message} [{code}]", "Запуск не удался: {message} [{code}]"),
    "key_made": (
        "{secret}\nThis key is shown only now. It is {id}, for {url}.",
        "{secret}\nКлюч показан только сейчас. Его номер {id}, он для {url}.",
    ),
    "key_revoked": (
        "{name} ({prefix}…) is revoked; a running server knows within two seconds.",
        "{name} ({prefix}…) отозван; работающий сервер узнает через две секунды.",
    ),
    "no_keys": ("There are no API keys.", "Ключей нет."),
    "serving": ("CodeLab listens on {url}", "CodeLab слушает {url}"),
    "serving_models": ("CodeLab serves models on {url}", "CodeLab обслуживает модели на {url}"),
    "serving_graphs": ("Graphs: {names}", "Графы: {names}"),
    "config_or_workspace": (
        "--workspace and --roles belong to CodeLab's own agents: leave them out with --config",
        "--workspace и --roles относятся к агентам CodeLab: с --config они не нужны",
    ),
    "working": (
        "Executing up to {most} runs at once; Ctrl-C ends it",
        "До {most} запусков одновременно; Ctrl-C — конец",
    ),
    "draining": ("Letting the runs end their steps", "Запуски завершают свои шаги"),
    "serving_folder": ("Workspace {path} ({id})", "Рабочая папка {path} ({id})"),
    "sign_in": ("Open this link once to sign in: {url}", "Откройте ссылку (один раз), чтобы войти: {url}"),
    "still_waiting": (
        "Still waiting for your decision. Go on with: codelab threads resume {thread}",
        "Решение ещё нужно. Продолжить: codelab threads resume {thread}",
    ),
    "stream_ended": ("the stream ended early", "поток оборвался"),
    "workspace_without_api": (
        "--workspace needs the role api",
        "Для --workspace нужна роль api",
    ),
    "token_file": ("The token for programs is in {path}", "Токен для программ лежит в {path}"),
    "token_set": ("The token for programs is CODELAB_SERVER__TOKEN.", "Токен для программ — CODELAB_SERVER__TOKEN."),
    "undone": ("Put back: {files}", "Возвращено: {files}"),
    "unreachable": ("{server} does not answer: {problem}", "{server} не отвечает: {problem}"),
    "waiting": (
        "Waiting for an approval in thread {thread}. Go on with one of:",
        "Нужно решение в беседе {thread}. Продолжить можно так:",
    ),
    "waiting_for": (
        "  codelab threads decide {approval} approve    # or {others}: {what}",
        "  codelab threads decide {approval} approve    # или {others}: {what}",
    ),
    "waiting_resume": (
        "  codelab threads resume {thread}    # asks here",
        "  codelab threads resume {thread}    # спросит здесь",
    ),
    "your_answer": ("Your answer: ", "Ваш ответ: "),
    "your_words": ("Your words: ", "Ваши слова: "),
}


def language() -> str:
    """`ru` or `en`."""
    names = ("CODELAB_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
    chosen = next((value for name in names if (value := os.environ.get(name))), "en")
    return "ru" if chosen.lower().startswith("ru") else "en"


def say(key: str, **values: Any) -> str:
    """The text of a key in the person's language."""
    english, russian = (
        SPOKEN.get(key) or IDENTITY.get(key) or USERS.get(key) or CLIENTS.get(key) or ROLES.get(key) or HELP[key]
    )
    return (russian if language() == "ru" else english).format(**values)
