"""What the demo model says, in the person's language; everything it reports is taken from a tool's result."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .answer import Call
from .demo_intents import Intent
from .demo_plan import file_lines
from .request import Done

_SHOWN_LINES = 12
_SHOWN_CHARS = 1500
_EN = {
    "i_am": "Demo model (no language model is configured).",
    "still": "Demo model.",
    "doing": "{i_am} Next: `{call}`.",
    "hand": "{i_am} This agent has no `{tool}`; I hand over to {agent}.",
    "done": "{i_am} Done.",
    "failed": "{i_am} `{call}` did not work, so I stop here:",
    "rejected": "{i_am} You rejected `{call}`, so I stop here:",
    "no_tool": "{i_am} This needs `{tool}`, which this agent does not have, and I cannot hand over again. I stop here.",
    "stuck": "{i_am} I cannot tell what is left to do, so I stop here.",
    "no_fix": "I only ran the tests: finding the cause needs a real model (set CODELAB_LLM__BASE_URL).",
    "empty": "(empty)",
    "more": "… {count} more lines",
    "outline": "`{path}`: {count} lines. It holds:",
    "plain": "`{path}`: {count} lines. It begins:",
    "help": "{i_am} I follow simple orders literally, in English or Russian: "
    "list files · read, explain FILE · search for TEXT · "
    'create file FILE with "TEXT" · replace "A" with "B" in FILE · append "TEXT" to FILE · '
    "run COMMAND · run the tests · git status, diff, log, branches · create branch NAME · "
    'commit with message "TEXT" · ask me QUESTION · finish. '
    "For real work set CODELAB_LLM__BASE_URL or CODELAB_LLM__API_KEY.",
}
_RU = {
    "i_am": "Демо-модель (языковая модель не настроена).",
    "still": "Демо-модель.",
    "doing": "{i_am} Дальше: `{call}`.",
    "hand": "{i_am} У этого агента нет `{tool}`; передаю агенту {agent}.",
    "done": "{i_am} Готово.",
    "failed": "{i_am} `{call}` не удалось, останавливаюсь:",
    "rejected": "{i_am} Вы отклонили `{call}`, останавливаюсь:",
    "no_tool": "{i_am} Нужен `{tool}`, которого у этого агента нет, а передать ещё раз нельзя. Останавливаюсь.",
    "stuck": "{i_am} Не могу понять, что ещё осталось сделать, останавливаюсь.",
    "no_fix": "Я только запустил тесты: найти причину может настоящая модель (CODELAB_LLM__BASE_URL).",
    "empty": "(пусто)",
    "more": "… ещё строк: {count}",
    "outline": "`{path}`: строк: {count}. Содержит:",
    "plain": "`{path}`: строк: {count}. Начало:",
    "help": "{i_am} Я буквально выполняю простые указания на русском и английском: "
    "покажи файлы · прочитай, объясни ФАЙЛ · найди ТЕКСТ · "
    "создай файл ФАЙЛ с текстом «ТЕКСТ» · замени «А» на «Б» в ФАЙЛ · допиши «ТЕКСТ» в ФАЙЛ · "
    "выполни команду КОМАНДА · запусти тесты · git статус, diff, история, ветки · создай ветку ИМЯ · "
    "закоммить с сообщением «ТЕКСТ» · спроси меня ВОПРОС · заверши. "
    "Для настоящей работы задайте CODELAB_LLM__BASE_URL или CODELAB_LLM__API_KEY.",
}
_OUTLINE = re.compile(
    r"^\s*(?:(?:async\s+)?def|class|function|export|func|fn|pub|interface|type|struct|import|from|#{1,3}\s)\b.*|^#{1,3}\s.*"
)


@dataclass(frozen=True)
class Words:
    """The demo model's phrases in one language."""

    russian: bool
    introduced: bool = False

    @classmethod
    def for_text(cls, text: str, *, introduced: bool = False) -> Words:
        """Take the language a message is written in; who has said once what it is says it shorter."""
        return cls(bool(re.search("[а-яё]", text, re.IGNORECASE)), introduced)

    def say(self, phrase: str, **parts: object) -> str:
        """One phrase, its parts filled in."""
        words = _RU if self.russian else _EN
        return words[phrase].format(i_am=words["still" if self.introduced else "i_am"], **parts)

    def failure(self, done: Done) -> str:
        """Tell of a call that went wrong or was rejected, in the result's own words."""
        rejected = re.search(r"reject|отклон", done.text or "", re.IGNORECASE)
        return f"{self.say('rejected' if rejected else 'failed', call=brief(done))}\n{self._cut(done.text or '')}"

    def summary(self, parts: Sequence[tuple[Intent, Sequence[Done]]]) -> str:
        """Tell what was done, from the results alone."""
        told = [self._part(intent, mine) for intent, mine in parts if mine]
        return "\n\n".join([self.say("done"), *told])

    def _part(self, intent: Intent, mine: Sequence[Done]) -> str:
        last = mine[-1]
        head = f"`{brief(last)}`"
        if intent.kind in {"read", "explain"}:
            return self._file(str(last.args.get("path", "")), last.text or "", explain=intent.kind == "explain")
        told = f"{head}\n{self._cut(last.text or '')}"
        return f"{told}\n{self.say('no_fix')}" if intent.kind == "fix_tests" else told

    def _file(self, path: str, result: str, *, explain: bool) -> str:
        lines = file_lines(result)
        head_line = re.match(r".* · (\d+) lines", result)  # a long file is shown in part
        count = int(head_line[1]) if head_line else len(lines)
        outline = [line.rstrip() for line in lines if _OUTLINE.match(line)] if explain else []
        head = self.say("outline" if outline else "plain", path=path, count=count)
        return f"{head}\n{self._cut(chr(10).join(outline or lines))}"

    def _cut(self, text: str) -> str:
        lines = text.strip("\n").split("\n")
        shown = "\n".join(lines[:_SHOWN_LINES])[:_SHOWN_CHARS] or self.say("empty")
        left = len(lines) - _SHOWN_LINES
        more = f"\n{self.say('more', count=left)}" if left > 0 else ""
        return f"```\n{shown}{more}\n```"


def brief(call: Call | Done) -> str:
    """A call in one short line."""
    args = call.args if not isinstance(call.args, str) else {}
    said = next(
        (str(args[key]) for key in ("path", "command", "pattern", "message", "name", "agent") if args.get(key)), ""
    )
    first = said.split("\n", 1)[0][:80].replace("`", "'")
    return f"{call.name} {first}".strip()
