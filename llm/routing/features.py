"""What can be seen of a request without understanding it: words, code, length, constraints; English and Russian."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from ..said import turns

TURNS: Final = 3
"""The person's last turns that are looked at."""
LONGEST: Final = 2_400
"""Characters of them."""

_PATTERNS: Final[Mapping[str, re.Pattern[str]]] = {
    "names": re.compile(
        r"\b\w+_\w+\b|\b[a-z]+[A-Z]\w*|\b\w+\(\)|`[^`\n]+`|\b[\w/]{1,80}\.(?:py|js|ts|go|rs|java|md|json|c|txt)\b"
    ),
    "trace": re.compile(
        r"Traceback|File \"[^\"\n]+\", line|^[ \t]*at [\w.$/]+\(|goroutine \d|panic:|\b\w*(?:Error|Exception)\b|SIGSEGV"
        r"|ERR!|fatal:"
        r"|ошибк|падает|вылет",
        re.MULTILINE,
    ),
    "make": re.compile(
        r"\b(?:write|implement|create|build|add|make|generate|convert|port|set up)\b"
        r"|\b(?:напиши|реализуй|создай|сделай|добавь|сгенерируй|настрой|перенеси)",
    ),
    "code": re.compile(
        r"\b(?:function|class|code|script|regex|regular expression|sql|query|api|endpoint|test|component|module"
        r"|library"
        r"|decorator|docker\w*|kubernetes|helm|terraform|middleware|compile\w*|parser|migration|repository"
        r"|branch|commit"
        r"|python|javascript|typescript|java|rust|go|c\+\+|css|html|react|vue|django|fastapi|postgres\w*|pytest"
        r"|bash|git|npm|pip)\b"
        r"|функци|класс|код[а-е]?\b|скрипт|запрос|регулярн|тест|компонент|модул|библиотек|декоратор|парсер"
        r"|миграци|репозитор"
        r"|ветк|коммит|плагин|загрузчик|интерпретатор",
    ),
    "subtle": re.compile(
        r"\b(?:race|deadlock\w*|lock-free|concurren\w*|atomic\w*|memory order\w*|distributed|consisten\w*"
        r"|exactly-once|raft"
        r"|paxos|fencing|linearizab\w*|snapshots?|leak\w*|vulnerab\w*|exploit|cuda|simd|avx\w*"
        r"|garbage collect\w*|type checker"
        r"|compiler|constant-time|zero downtime|downtime|partition\w*|clock skew|no_std|unsafe|query planner"
        r"|bit-identical)\b"
        r"|гонк|блокиров|взаимн|распредел[её]нн|линеариз|lock-free|утечк|уязвим|атак|сборщик мусора|задержк"
        r"|без простоя|простой"
        r"|откат|сверк|детерминизм|fencing|отказ|завис",
    ),
    "perf": re.compile(
        r"\b(?:slow|performance|optimi[sz]e\w*|latency|p99|throughput|per second|rps|oom\w*|timeout|hang\w*"
        r"|index)\b|\bo\(\w"
        r"|медленн|ускор|производительн|под нагрузкой|индекс|сложност",
    ),
    "small": re.compile(
        r"\b(?:rename|typo|format|comment|docstring|show me|list the|run the|undo|continue|fix the grammar"
        r"|synonyms?|hello world"
        r"|one-liner|simple|short|what branch)\b"
        r"|опечатк|переименуй|покажи|запусти|отмени|продолжай|комментари|отсортируй|исправь ошибки|одним словом"
        r"|прост[аоы]",
    ),
    "why": re.compile(
        r"\b(?:why|explain|how does|how do|reason|cause)\b|почему|объясни|как работает|как устроен|зачем"
    ),
    "compare": re.compile(
        r"\b(?:compare|difference|versus|vs|trade-offs?|pros and cons|should (?:i|we)|choose|better)\b"
        r"|сравни|отлича|разниц|выбрать|выбираем|стоит ли|выгодн|плюсы",
    ),
    "design": re.compile(
        r"\b(?:design|architect\w*|plan|strategy|roll out|components|failure modes|schema|steps)\b"
        r"|спроектир|архитектур|план\b|распиши|по шагам|организовать|переход|уведомлен",
    ),
    "proof": re.compile(
        r"\b(?:prove|proof|derive|show that|theorem|lemma|posterior|holomorphic|np-\w+|algorithm"
        r"|characteri[sz]e|argue)\b"
        r"|докажи|доказа|выведи|теорем|оценк|алгоритм|аргумент|обоснуй",
    ),
    "maths": re.compile(
        r"\d\s*[-+*/^=]\s*\w|\b\w\^\d|\bf\(|\b(?:solve|probability|equation|significant|estimate|how many"
        r"|how long|percent)\b|%"
        r"|сколько|вероятност|реши|предел|уравнен|посчита|рассч|оцени",
    ),
    "puzzle": re.compile(
        r"\b(?:if all|puzzle|who sits|true or false|truth|fallacy|valid|weighings?|strategy)\b|рыцар|лжец"
        r"|взвешив|монет|рассуждени",
    ),
    "facts": re.compile(
        r"\b(?:who|when|where|which year|capital|history|war|treaty|law|century|empire|chancellor)\b"
        r"|\b(?:кто|когда|где|в каком году|столица|истори|войн|закон|век[ае]?\b|город)",
    ),
    "expert": re.compile(
        r"\b(?:mechanism|contraindicat\w*|interaction|pharma\w*|thermodynam\w*|quantum|relativ\w*|monetary"
        r"|dilution|convertible"
        r"|german law|tax\w*|clause|kant|hume|crispr\w*|black-scholes|specification|handshake|memory model"
        r"|isolation|borrow"
        r"|literature|studies|monte carlo|protocol|roofline)\b"
        r"|механизм|резистентн|налог|гк рф|давност|излучен|эффект|парадокс|исследовани|последстви|изоляци|mvcc"
        r"|x\.509|рынк",
    ),
    "format": re.compile(
        r"\b(?:json|yaml|csv|table|markdown|bullets?|schema|headline|xml|openapi)\b|таблиц|заголов|список"
        r"|полями|поля\b",
    ),
    "bound": re.compile(
        r"\b(?:exactly|at most|at least|no more than|only|without|must|do not|don't|never|not one|every|each"
        r"|below|under|maximal|no)\b"
        r"|ровно|не больше|не более|не длиннее|не меньше|только|без\b|обязател|нельзя|не меня\w*|запрещ|кажд"
        r"|ничего не|никто не",
    ),
    "style": re.compile(
        r"\b(?:tone|style|polite\w*|formal|informal|haiku|sonnet|poem|story|essay|rhyme|iambic|press release"
        r"|words?|sentences?|voice)\b"
        r"|вежлив|стил|ямб|рифм|четверостиш|басн|рассказ|письмо|предложени|слов\b|тост|записк",
    ),
    "language": re.compile(
        r"\b(?:translate|summari[sz]e|rewrite|grammar|into)\b|переведи|перепиши|кратко|исправь|извлеки"
    ),
    "greeting": re.compile(r"^\W*(?:hi|hello|hey|thanks|thank you|ok|yes|no|привет|спасибо|да|нет|добр\w+)\b"),
    "whole": re.compile(
        r"\b(?:whole repository|search the repository|evidence|existing tests|public interface|nightly|tracing"
        r"|service|production)\b"
        r"|в проекте|изучи|модул|сервис|формат|публичн|рефактор|отрефактори",
    ),
}
_CASED: Final = frozenset({"names", "trace"})
"""The others are looked for in small letters."""
NAMES: Final[tuple[str, ...]] = (
    "one", "length", "lines", "fences", "code_share", "numbers", "listed", "questions", "commas", "russian", *_PATTERNS,
    "make_code", "subtle_code", "length_code", "bound_format",
)  # fmt: skip
_FENCE: Final = "```"
_RUSSIAN: Final = re.compile("[а-яёА-ЯЁ]")
_NUMBERS: Final = re.compile(r"\d[\d ,.]*")
_LISTED: Final = re.compile(r"^[ \t]*(?:[-*•]|\d+[.)])\s|[:;]", re.MULTILINE)


def spoken(body: Mapping[str, Any]) -> str:
    """Return the person's last turns as one text, its middle cut out where it is long."""
    text = "\n\n".join(turns(body)[-TURNS:])
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}\n{text[-LONGEST // 2 :]}"


def features(text: str) -> list[float]:
    """Reckon the features of a text, each about 0 to 1, in the order of `NAMES`."""
    fenced = "".join(text.split(_FENCE)[1::2])
    lower = text.lower()
    said = {name: _many(pattern, text if name in _CASED else lower) for name, pattern in _PATTERNS.items()}
    length = math.log1p(len(text)) / 8
    code = max(said["code"], min(1.0, 2.0 * bool(fenced)), said["names"])
    return [
        1.0,
        length,
        math.log1p(text.count("\n")) / 4,
        float(bool(fenced)),
        len(fenced) / (len(text) + 1),
        min(1.0, len(_NUMBERS.findall(text)) / 6),
        min(1.0, len(_LISTED.findall(text)) / 5),
        min(1.0, text.count("?") / 2),
        min(1.0, text.count(",") / 8),
        float(bool(_RUSSIAN.search(text))),
        *said.values(),
        said["make"] * code,
        said["subtle"] * code,
        length * code,
        said["bound"] * said["format"],
    ]


def _many(pattern: re.Pattern[str], text: str) -> float:
    """Count what a pattern finds: none is 0, one 0.5, two 0.75, and so on."""
    found = 0
    for _ in pattern.finditer(text):
        found += 1
        if found == 4:  # noqa: PLR2004 - more say no more
            break
    return 1 - 0.5**found
