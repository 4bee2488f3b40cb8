"""The help of commands and options, in English and Russian."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

HELP: Final[Mapping[str, tuple[str, str]]] = {
    "examples": ("Examples:", "Примеры:"),
    "help_root": (
        "A router and specialised coding agents that work on your repository, under your approval.",
        "Маршрутизатор и агенты, которые работают с вашим репозиторием под вашим контролем.",
    ),
    "help_worker": ("Execute runs, beside servers on PostgreSQL", "Выполнять запуски рядом с серверами на PostgreSQL"),
    "help_worker_long": (
        (
            "Execute runs from the database that the servers write them to. Start as many as you like; Redis wakes "
            "them. On Ctrl-C or SIGTERM each run ends its step and goes back to the queue."
        ),
        (
            "Выполнять запуски из базы, куда их записывают серверы. Запустите сколько угодно; Redis их будит. "
            "По Ctrl-C или SIGTERM каждый запуск завершает шаг и возвращается в очередь."
        ),
    ),
    "opt_config": ("A langgraph.json whose graphs are served", "Файл langgraph.json, чьи графы обслуживаются"),
    "help_serve": ("Start the service on this machine", "Запустить сервис на этом компьютере"),
    "help_serve_long": (
        "Start the service on this machine and print a one-time sign-in link.",
        "Запустить сервис на этом компьютере и показать одноразовую ссылку для входа.",
    ),
    "help_run": ("Give one task and follow it", "Дать одно задание и следить за ним"),
    "help_run_long": (
        (
            "Give one task and follow it until the agent rests. On a terminal approvals are asked in place; without "
            "one the command leaves with 3 and says how to go on. Exit codes: 0 done, 1 failed, 2 usage, 3 waiting "
            "for an approval, 130 interrupted."
        ),
        (
            "Дать одно задание и следить за ним. В терминале разрешения спрашиваются сразу; без него команда "
            "выходит с кодом 3 и говорит, как продолжить. Коды: 0 готово, 1 неудача, 2 вызов неверен, 3 ждёт "
            "решения, 130 прервано."
        ),
    ),
    "help_chat": ("Talk with the agents in the terminal", "Беседа с агентами в терминале"),
    "help_chat_long": (
        "Talk with the agents: text streams, approvals show the diff, Ctrl-C cancels the run and keeps the thread.",
        (
            "Беседа с агентами: текст приходит по мере написания, разрешения показывают diff, Ctrl-C отменяет запуск и "
            "сохраняет беседу."
        ),
    ),
    "help_threads": ("Threads, approvals, changes", "Беседы, разрешения, изменения"),
    "help_threads_long": (
        "Look at threads, decide what waits, see and undo changes.",
        "Посмотреть беседы, решить ожидающее, увидеть и отменить изменения.",
    ),
    "help_threads_list": ("List threads, last changed first.", "Список бесед, сначала недавние."),
    "help_threads_show": ("Show a thread's messages.", "Показать сообщения беседы."),
    "help_threads_rm": ("Delete a thread and all that belongs to it.", "Удалить беседу целиком."),
    "help_threads_approvals": ("List what waits for your decision.", "Что ждёт вашего решения."),
    "help_threads_decide": (
        "Decide one call. After the last one of its step the turn goes on and is shown.",
        "Решить судьбу одного вызова. После последнего решения ход продолжается на экране.",
    ),
    "help_threads_resume": (
        "Follow a thread's newest run from its start until the turn rests.",
        "Следить за последним запуском беседы от начала до конца хода.",
    ),
    "help_threads_diff": ("Print all changes of a thread as one diff.", "Все изменения беседы одним diff."),
    "help_threads_undo": (
        "Put the files of a turn back; refused where a file has changed since.",
        "Вернуть файлы хода; отказ, если файл с тех пор менялся.",
    ),
    "help_eval": ("Measure agents, models and policies", "Измерить агентов, модели и политику"),
    "help_api_keys": ("Keys for programs that use /v1", "Ключи для программ, которым нужен /v1"),
    "help_api_keys_long": (
        "Make, list and revoke keys for programs that ask for models over /v1.",
        "Создать, посмотреть и отозвать ключи для программ, которые обращаются к моделям через /v1.",
    ),
    "help_api_keys_create": (
        "Make a key and print it: it is not kept, only what it can be recognised by.",
        "Создать ключ и показать его: хранится не он, а только его отпечаток.",
    ),
    "help_api_keys_list": ("List keys, revoked ones too.", "Список ключей, включая отозванные."),
    "help_api_keys_revoke": ("Revoke a key.", "Отозвать ключ."),
    "help_db": ("The database's schema", "Схема базы данных"),
    "help_db_upgrade": (
        "Bring the database to the newest schema (SQLite does this by itself).",
        "Обновить схему базы данных (SQLite обновляется сама).",
    ),
    "help_config": ("Print every setting", "Показать все настройки"),
    "help_config_long": (
        "Print every setting: its environment variable, value, default and what it is for. Secrets are hidden.",
        "Все настройки: переменная окружения, значение, умолчание и смысл. Секреты скрыты.",
    ),
    "help_doctor": ("Look for what is wrong", "Найти, что не так"),
    "help_doctor_long": (
        "Check Python, git, the data folder, the database and the model endpoint, and say what to do.",
        "Проверить Python, git, папку данных, базу данных и модель и подсказать, что сделать.",
    ),
    "arg_key": ("A key's id (`codelab api-keys list`)", "Номер ключа (`codelab api-keys list`)"),
    "arg_key_name": ("What people call the key", "Имя ключа для людей"),
    "arg_task": ("What to do, in your own words", "Что сделать, своими словами"),
    "arg_thread": ("A thread's id (`codelab threads list`)", "Номер беседы (`codelab threads list`)"),
    "arg_approval": ("An approval's id (`codelab threads approvals`)", "Номер решения (`codelab threads approvals`)"),
    "arg_decision": ("Your decision", "Ваше решение"),
    "arg_turn": (
        "A turn's id; the last one that changed files if left out",
        "Номер хода; иначе последний с изменениями",
    ),
    "opt_days": ("Days until it expires; never if left out", "Через сколько дней истечёт; иначе бессрочный"),
    "opt_key_model": (
        "The only models it may ask for; may be given several times",
        "Только эти модели; можно указать несколько",
    ),
    "opt_requests": ("Requests a minute", "Запросов в минуту"),
    "opt_scope": (
        "A permission of yours it shall hold; default: llm:invoke",
        "Ваше право для ключа; обычно llm:invoke",
    ),
    "opt_tokens": ("Tokens a minute", "Токенов в минуту"),
    "opt_roles": (
        "What is served, with commas between: api, llm; everything if left out. llm alone needs no agents",
        "Что обслуживать, через запятую: api, llm; по умолчанию всё. Для одного llm агенты не нужны",
    ),
    "opt_agent": ("Who takes it; the router chooses if left out", "Кто возьмётся; иначе решает маршрутизатор"),
    "opt_approve": (
        "ask: you decide edits and commands; auto: only risky calls; deny: none is allowed",
        "ask: вы решаете о правках и командах; auto: только о рискованных; deny: всё запрещено",
    ),
    "opt_arguments": ("With edit: the arguments to run instead, as JSON", "Для edit: новые аргументы в JSON"),
    "opt_host": ("Address to listen on; this machine only in local mode", "Адрес; в локальном режиме только 127.0.0.1"),
    "opt_json": ("JSON, one value a line, and nothing else on stdout", "JSON, по значению на строку, и ничего больше"),
    "opt_message": ("Feedback, or with respond the answer itself", "Совет агенту, а для respond — сам ответ"),
    "opt_port": ("Port to listen on; 0 finds a free one", "Порт; 0 — любой свободный"),
    "opt_server": ("Use a CodeLab server instead of this process", "Работать через сервер CodeLab"),
    "opt_thread": ("Go on with this thread", "Продолжить эту беседу"),
    "opt_token": (
        "The server's token; this machine's own for a server on it",
        "Токен сервера; для локального берётся из папки данных",
    ),
    "opt_version": ("Print the version and leave", "Показать версию и выйти"),
    "opt_workspace": ("The folder to work in", "Рабочая папка"),
    "opt_workspaces": (
        "A folder agents may work in; may be given several times",
        "Рабочая папка; можно указать несколько",
    ),
}
