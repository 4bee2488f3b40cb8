"""What a person asks for, read from simple English and Russian by a table of patterns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .demo_quotes import QUOTE, Quoted

TESTS_COMMAND = "python3 -m pytest -q"

_NAMES = r"Makefile|Dockerfile|README|LICENSE|CHANGELOG"
_PATH = rf"(?:{QUOTE}|[\w./\\-]*[\w-]\.\w+|[\w.-]+/[\w./-]*|{_NAMES})"
_ARG = rf"(?:{QUOTE}|\S+)"
_FILE = r"(?:(?:the|a|an|new|empty|новый|пустой)\s+)*(?:file|файле|файла|файлу|файл)?\s*"
_IN = r"(?:in|inside|within|from|into|under|в|во|из|внутри)"
_DIR = r"(?:(?:the|folder|directory|папке|папки|папку|каталоге|каталога|каталог|file|файле)\s+)*"


@dataclass(frozen=True)
class Intent:
    """One order: its kind and what it names."""

    kind: str
    args: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        """Return a named part; "" if it was not said."""
        return self.args.get(name, "")


# The first row that is found in a clause decides, so the narrow ones stand first.
_TABLE: tuple[tuple[str, str], ...] = (
    (
        "question",
        (
            r"^(?:please\s+)?(?:ask|спроси(?:те)?|задай\s+вопрос|уточни)\b(?:\s+(?:me|us|the\s+user|меня|у\s+меня|пользователя))?[\s,:]*"
            r"(?P<question>[^(]+?)\s*(?:\((?P<choices>[^)]*)\))?\s*$"
        ),
    ),
    (
        "handoff",
        r"(?:hand\s*(?:it\s+)?(?:over|off)?|switch|переключись|передай)\s+(?:to|на|агенту)?\s*(?:the\s+)?@?(?P<agent>coder|architect|debug|ask)\b",
    ),
    (
        "git_log",
        r"\bgit\s+log\b|\b(?:commit|git)\s+history\b|\bhistory\b|\blast\s+(?P<limit>\d+\s+)?commits?\b|\bистори[яию]\b|\bпоследни\w+\s+(?P<limit2>\d+\s+)?коммит|^\s*(?:show\s+(?:the\s+)?)?log\b|\bжурнал\b",
    ),
    (
        "git_commit",
        (
            r"(?:\bcommit\b|\bзакоммить\w*|\bкоммит\w*|\bзафиксируй\w*)"
            r"(?:\s+(?:(?:the\s+)?file\s+|файл\s+)?(?P<path>[\w./-]*[\w-]\.\w+|[\w.-]+/[\w./-]+)|\s+(?P<all>all|everything|все|всё)\b)?"
            rf"(?:.*?(?:\b(?:message|сообщением|as|как)\b:?|:)\s*(?P<message>{QUOTE}|.+)|.*?(?P<message2>{QUOTE}))?"
        ),
    ),
    (
        "branch_create",
        rf"(?:\b(?:create|make|start|new)\b|созда\w*|заведи|нов\w+)\s+(?:a\s+|the\s+)?(?:new\s+|нов\w+\s+)?(?:git\s+)?(?:branch|ветк\w+)\s+(?:called\s+|named\s+)?(?P<name>{_ARG})",
    ),
    (
        "branch_delete",
        rf"(?:delete|remove|drop|удали\w*)\s+(?:the\s+)?(?:git\s+)?(?:branch|ветк\w+)\s+(?P<name>{_ARG})",
    ),
    (
        "branch_switch",
        rf"(?:(?:switch|check\s*out|go|переключись|перейди)\s+(?:to\s+|на\s+|в\s+)?(?:the\s+)?(?:branch|ветк\w+)|\bgit\s+(?:checkout|switch))\s+(?P<name>{_ARG})",
    ),
    ("branch_list", r"\bbranch(?:es)?\b|\bветк[иу]?\b|\bветок\b|\bветке\b"),
    ("git_status", r"\bstatus\b|\bстатус\w*|\bwhat\s+(?:has\s+|have\s+)?(?:i\s+)?changed\b|\bчто\s+изменил\w+"),
    (
        "git_diff",
        r"(?P<staged>\bstaged\s+)?(?:\bdiff\b|\bдифф?\b|\bразниц\w+)(?P<staged2>.*\b(?:staged|cached)\b)?|\b(?:show|see|покажи)\s+(?:me\s+)?(?:the\s+|мои\s+|my\s+|все\s+|all\s+)*(?P<staged3>staged\s+)?(?:changes|изменения)",
    ),
    (
        "replace",
        (
            rf"(?:replace|change|substitute|замени\w*|поменяй\w*|смени\w*)\s+(?P<all>all\s+|every\s+|все\s+|всё\s+|each\s+)?(?:occurrences?\s+of\s+|вхождения\s+|the\s+text\s+|текст\s+|строку\s+)?"
            rf"(?P<old>{_ARG})\s+(?:with|to|by|на)\s+(?P<new>{_ARG})(?P<all2>\s+everywhere|\s+везде|\s+всюду)?(?:\s+{_IN}\s+{_FILE}(?P<path>{_PATH}))?"
        ),
    ),
    (
        "append",
        rf"(?:append|add|допиши\w*|добавь\w*|дополни\w*)\s+(?:the\s+|a\s+)?(?:line|text|строку|текст)?\s*(?P<text>{QUOTE}|.+?)\s+(?:to|at|into|в|к)\s+(?:the\s+)?(?:end\s+of\s+|bottom\s+of\s+|конец\s+)?{_FILE}(?P<path>{_PATH})",
    ),
    (
        "append",
        rf"(?:append|допиши\w*|дополни\w*|добавь\w*)\s+(?:to|в\s+конец|в|к)\s+{_FILE}(?P<path>{_PATH})\s*(?:строку|текст|the\s+line)?[\s:]*(?P<text>{QUOTE}|.+)",
    ),
    (
        "mkdir",
        rf"(?:create|make|mkdir|создай\w*|сделай\w*)\s+(?:a\s+|the\s+)?(?:new\s+|нов\w+\s+)?(?:directory|folder|dir|папк\w+|каталог\w*|директори\w+)\s+(?P<path>{_ARG})",
    ),
    (
        "create",
        rf"(?:write|save|put|запиши\w*|сохрани\w*)\s+(?P<content>{QUOTE})\s+(?:to|into|in|в)\s+{_FILE}(?P<path>{_PATH})",
    ),
    (
        "create",
        (
            rf"(?:create|write|make|add|создай\w*|создать|запиши\w*|напиши\w*|сделай\w*|добавь\w*)\s+{_FILE}(?P<path>{_PATH})"
            rf"(?:\s*(?:(?:with|containing|saying|с|со)\b\s*(?:the\s+)?(?:contents?|text|содержимым|содержанием|текстом)?)?\s*:?\s*(?P<content>{QUOTE}|\S.*))?"
        ),
    ),
    (
        "move",
        rf"(?:rename|move|переименуй\w*|перемести\w*|перенеси\w*)\s+{_FILE}(?P<path>{_PATH})\s+(?:to|into|as|в|на)\s+{_FILE}(?P<target>{_PATH})",
    ),
    ("delete", rf"(?:delete|remove|erase|удали\w*|сотри\w*)\s+{_FILE}(?P<path>{_PATH})"),
    (
        "fix_tests",
        r"(?:\bfix\b|\bdebug\b|\bпочини\w*|\bисправь\w*|\bотлад\w+|\bfails?\b|\bfailing\b|\bпада\w+|\bне\s+проход\w+).*(?:\btests?\b|\bтест\w*)|(?:\btests?\b|\bтест\w*).*(?:\bfail\w*|\bпада\w+|\bне\s+проход\w+|\bсломан\w*)",
    ),
    (
        "tests",
        r"(?:run|execute|start|запусти\w*|выполни\w*|прогони\w*)\s+(?:all\s+|все\s+)?(?:the\s+|my\s+)?(?:unit\s+)?(?:tests?|тест\w*)\s*[.!]?$",
    ),
    (
        "run",
        rf"(?:\brun|\bexecute|\blaunch|запусти\w*|выполни\w*)\s+(?:the\s+)?(?:shell\s+)?(?:command|команду|script|скрипт)?\s*:?\s*(?P<command>{QUOTE}|\S.*)",
    ),
    (
        "run",
        r"^\s*(?:\$\s+(?P<command>.+)|(?P<command2>(?:pytest|python3?|npm|make|cargo|go\s+(?:test|build|run)|node|ls\s+-\w+)\b.*))$",
    ),
    (
        "explain",
        rf"(?:\bexplain|\bdescribe|\bsummari[sz]e|\bwhat\s+(?:does|is\s+in|do)|\bhow\s+does|\bwalk\s+me\s+through|объясни\w*|опиши\w*|расскажи\w*|что\s+делает|о\s+ч[её]м|как\s+работает)\b.*?(?P<path>{_PATH})",
    ),
    (
        "search",
        (
            rf"(?:\bsearch|\bgrep|\blook|\bfind|найди\w*|поищи\w*|ищи|отыщи\w*)\s+(?:the\s+)?(?:for\s+|where\s+)?(?:all\s+|все\s+)?(?:usages?\s+of\s+|occurrences?\s+of\s+|the\s+text\s+|текст\s+|слово\s+|упоминания\s+|где\s+)?"
            rf"(?P<pattern>{QUOTE}|.+?)(?:\s+(?:is|are)\s+\w+|\s+(?:определ\w+|использу\w+|вызыва\w+))?(?:\s+{_IN}\s+{_DIR}(?P<path>{_ARG}))?\s*[?.!]*$"
        ),
    ),
    (
        "search",
        rf"(?:\bwhere\s+(?:is|are|do\s+we\s+use)|\bгде)\s+(?:the\s+)?(?:определ[её]н\w*\s+|находится\s+|используется\s+|вызывается\s+|function\s+|class\s+|функция\s+|класс\s+)*(?P<pattern>{_ARG}?)(?:\s+(?:defined|used|called|определ\w+|использу\w+|вызыва\w+))?\s*[?.!]*$",
    ),
    (
        "read",
        rf"(?:\bread|\bopen|\bshow|\bcat|\bprint|\bdisplay|\bview|\bsee|прочитай\w*|прочти\w*|открой\w*|покажи\w*|выведи\w*|посмотри\w*|глянь)\s+(?:me\s+|мне\s+)?(?:the\s+)?(?:contents?\s+of\s+|содержимое\s+)?{_FILE}(?P<path>{_PATH})(?<!/)(?!\w*/)\s*[.!?]*$",
    ),
    (
        "list",
        (
            rf"(?:\blist|\bshow|\bls\b|\bwhat|\bwhich|покажи\w*|перечисли\w*|список|какие|выведи\w*|что)\b(?P<deep>.*?\b(?:all|recursive\w*|tree|every|все|дерев\w+|рекурсивно)\b)?.*?"
            rf"(?:\bfiles?\b|\bfolders?\b|\bdirector(?:y|ies)\b|\btree\b|\bproject\b|файл\w*|папк\w+|каталог\w*|дерев\w+|проект\w*)(?P<deep2>.*\b(?:recursive\w*|рекурсивно))?(?:.*?\s{_IN}\s+{_DIR}(?P<path>{QUOTE}|[\w./-]+))?"
        ),
    ),
    ("list", r"^\s*ls(?:\s+(?P<path>[\w./-]+))?\s*$"),
    (
        "finish",
        r"^\s*(?:finish|we\s+are\s+done|that\s+is\s+all|that's\s+all|done|заверши\w*|закончи\w*|готово|это\s+вс[её]|на\s+этом\s+вс[её])\b",
    ),
)
_ROWS = [(kind, re.compile(pattern, re.IGNORECASE | re.DOTALL)) for kind, pattern in _TABLE]


def read_intents(text: str) -> list[Intent]:
    """List the orders of a message in their order; what is not understood is left out."""
    return [intent for clause in Quoted.of(text).clauses() if (intent := _intent(clause)) is not None]


def _intent(clause: Quoted) -> Intent | None:
    for kind, row in _ROWS:
        found = row.search(clause.marked)
        if found is not None:
            return _completed(Intent(kind, _args(found, clause)), clause, found)
    return None


def _args(found: re.Match[str], clause: Quoted) -> dict[str, str]:
    """Take the named groups, quotations restored; `name2` is another spelling of `name`."""
    said = {name.rstrip("23"): clause.plain(value) for name, value in found.groupdict().items() if value is not None}
    bare = {name for name in ("path", "pattern", "name") if name in said and "\x00" not in found[name]}
    return {name: value.rstrip(".,:!?") if name in bare else value for name, value in said.items()}


def _completed(intent: Intent, clause: Quoted, found: re.Match[str]) -> Intent | None:
    """A replacement may name its file before the verb: "in a.py replace x with y"."""
    if intent.kind != "replace" or intent["path"]:
        return intent
    before = re.search(rf"{_IN}\s+{_FILE}({_PATH})", clause.marked[: found.start()], re.IGNORECASE)
    return Intent("replace", {**intent.args, "path": clause.plain(before[1])}) if before else None
