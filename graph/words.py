"""The words the routing rules know, English and Russian. Tables of patterns, parted by line ends and `¦`."""

from __future__ import annotations

import re


def _parts(table: str) -> list[str]:
    return [part.strip() for line in table.splitlines() for part in line.split("¦") if part.strip()]


def alternatives(table: str) -> str:
    """Join a table into one alternation."""
    return "|".join(_parts(table))


def anywhere(table: str) -> re.Pattern[str]:
    """Match any pattern of the table at the start of a word."""
    return re.compile(rf"(?<!\w)(?:{alternatives(table)})", re.IGNORECASE)


def at_start(table: str) -> re.Pattern[str]:
    """Match any pattern of the table as the first words, after polite fillers; `add(` is a name, not an order."""
    return re.compile(rf"^\W*(?:(?:{alternatives(_FILLERS)})[\s,]+)*(?:{alternatives(table)})(?![\w(])", re.IGNORECASE)


def whole(table: str) -> re.Pattern[str]:
    """Match a message that is nothing but patterns of the table and fillers, at least one of the table."""
    known = dict.fromkeys(_parts(table) + _parts(_FILLERS) + _parts(_TAILS))
    phrase = rf"(?>{'|'.join(sorted(known, key=len, reverse=True))})(?!\w)"
    first = rf"(?:(?:{alternatives(_FILLERS)})[\s,]+)?"
    return re.compile(rf"^\W*{first}(?:{alternatives(table)})(?!\w)(?:[\s,.!]+{phrase})*+\W*$", re.IGNORECASE)


_FILLERS = """
    please ¦ can you ¦ could you ¦ now ¦ then ¦ let's ¦ ok ¦ okay ¦ and ¦ also ¦ great ¦ so ¦ i want you to
    i need you to
    пожалуйста ¦ теперь ¦ давай ¦ давайте ¦ можешь ¦ а ¦ ок ¦ и ¦ надо ¦ нужно ¦ отлично ¦ ну ¦ хочу
"""
_TAILS = "it ¦ that ¦ this ¦ on ¦ so ¦ это ¦ так ¦ тогда"

FOLLOW_UP = whole("""
    yes ¦ no ¦ ok(?:ay)? ¦ sure ¦ yep ¦ nope ¦ go on ¦ go ahead ¦ continue ¦ proceed ¦ carry on ¦ do it ¦ next ¦ thanks
    thank you ¦ again ¦ try again ¦ retry ¦ once more ¦ keep going ¦ sounds good ¦ looks good ¦ lgtm
    да ¦ нет ¦ окей ¦ хорошо ¦ ладно ¦ давай(?:те)? ¦ продолж(?:ай|айте|и) ¦ дальше ¦ спасибо ¦ делай ¦ ещ[её] раз
    попробуй ещ[её](?: раз)? ¦ поехали ¦ угу ¦ ага ¦ согласен ¦ согласна ¦ подтверждаю
""")

FAILURE = anywhere(r"""
    traceback ¦ stack ?trace ¦ crash(?:es|ed|ing)?\b ¦ segfault ¦ throws?\b ¦ raises?\b ¦ \w*(?:error|exception)\b
    fails?\b ¦ failing\b ¦ failed\b ¦ broken\b ¦ debug\b ¦ hangs?\b ¦ hanging\b ¦ regression ¦ flaky ¦ deadlock
    (?:doesn't|does not|isn't|don't|do not) work ¦ stopped working ¦ wrong (?:result|value|answer|output|total)
    memory leak ¦ leaks memory ¦ root cause ¦ freezes ¦ timing out ¦ times out
    why (?:do|does|is|are|did) (?:[\w`'./()-]+ ){0,8}(?:fail|crash|hang|break|throw|rais|so slow|wrong|empty|null)
    пада[ею]т ¦ упал[аио]?\b ¦ краш ¦ ошибк ¦ исключени ¦ тр[её]йсбек ¦ стектрейс ¦ не работа ¦ не проход ¦ сломал
    сломан ¦ отлад ¦ завис ¦ виснет ¦ утечк ¦ утекает ¦ регресси ¦ вылета ¦ перестал[аио]? ¦ дебаж ¦ флак ¦ тормоз
    не(?:верн|правильн)\w+ (?:результат|значени|ответ|сумм|итог) ¦ в ч[её]м причина ¦ найди причину ¦ валится
""")

WEAK = anywhere(r"""
    readme ¦ changelog ¦ docs?/ ¦ \w+\.(?:md|mdx|txt|rst)\b ¦ document ¦ write up ¦ options\b
    without (?:code|changing)
    документ ¦ код не (?:меняй|трогай) ¦ без кода ¦ and tell me ¦ и скажи ¦ и расскажи ¦ словами
""")
"""Words that make any reading uncertain: work on documents, or an order that is a question."""

DESIGN = anywhere(r"""
    architecture\b ¦ (?:re)?design (?:a|an|the|how|our|for)\b ¦ trade-?offs?\b ¦ adr\b ¦ roadmap\b ¦ rfc\b
    microservices? ¦ module boundaries ¦ diagram
    propose (?:an? )?(?:structure|approach|plan|layout) ¦ (?:migration|rollout|refactoring) (?:plan|strategy)
    (?:write|draft|make|create|prepare) (?:me )?(?:an? |the )?(?:[\w-]+ )?(?:plan|spec|specification|proposal)\b
    how (?:should|would) (?:we|i|you) (?:best )?(?:structure|organi[sz]e|split|model|lay out|approach)
    plan (?:the|a|an|out|how|for)\b ¦ (?:data|domain) model\b ¦ which (?:database|framework|queue|pattern)
    pros and cons
    архитектур ¦ спроектир ¦ проектир ¦ продумай ¦ спланир ¦ распланир ¦ план\w* (?:миграц|внедр|работ|рефактор|переход)
    (?:составь|напиши|подготовь|сделай) (?:\w+ )?план ¦ диаграмм ¦ микросервис ¦ компромисс ¦ техзадани ¦ тз\b
    предложи (?:структур|подход|схем|дизайн|вариант) ¦ плюсы и минусы ¦ схем[ау] (?:базы|данных|бд|таблиц)
    как (?:нам |мне )?(?:лучше |стоит )?(?:организовать|структурировать|разбить|разделить|построить|устроить)
""")

CHANGE = at_start(r"""
    implement ¦ add ¦ create ¦ write ¦ build ¦ rename ¦ refactor ¦ remove ¦ delete ¦ replace ¦ change ¦ update ¦ convert
    extract ¦ move ¦ port ¦ generate ¦ make ¦ commit ¦ append ¦ bump ¦ upgrade ¦ migrate ¦ optimi[sz]e ¦ rewrite
    insert
    clean up ¦ introduce ¦ apply ¦ run ¦ format ¦ inline ¦ split ¦ wire ¦ expose ¦ switch ¦ set ¦ turn
    реализуй\w* ¦ реализовать ¦ добав(?:ь|ьте|ить) ¦ созда(?:й|йте|ть) ¦ напиши\w* ¦ написать ¦ сделай\w*
    переименуй\w*
    отрефактор\w+ ¦ рефактор\w* ¦ удали\w* ¦ убери\w* ¦ замени\w* ¦ измени\w* ¦ обнови\w* ¦ преобразуй ¦ вынеси\w*
    перенеси\w*
    сгенерируй ¦ закоммить\w* ¦ допиши ¦ поправь ¦ оптимизируй ¦ перепиши\w* ¦ вставь ¦ поменяй ¦ внедри
    запусти\w* ¦ переведи
""")

FIX = at_start(r"fix\w* ¦ исправь\w* ¦ исправить ¦ почини\w* ¦ починить")

QUESTION = at_start(r"""
    what (?:is|are|does|do|did) ¦ what's ¦ where ¦ where's ¦ which ¦ who ¦ when ¦ how (?:does|do|is|are|many|much)
    explain
    describe ¦ tell me ¦ show me ¦ summari[sz]e ¦ list ¦ compare ¦ help me understand ¦ walk me through
    give me an overview ¦ remind me
    что (?:такое|делает|делают|значит|означает|это|у нас|возвращает) ¦ где ¦ какой ¦ какая ¦ какие ¦ каким ¦ кто ¦ когда
    зачем ¦ чем ¦ сколько ¦ есть ли ¦ объясни\w* ¦ расскажи\w* ¦ опиши\w* ¦ покажи\w* ¦ поясни\w* ¦ перечисли\w*
    сравни\w* ¦ для чего ¦ подскажи\w* ¦ откуда ¦ как (?:работает|работают|устроен\w*|происходит|называется)
""")

OPINION = anywhere("should ¦ would you ¦ could we ¦ better ¦ best ¦ лучше ¦ стоит ¦ посовету ¦ как бы")
"""A question that asks for judgement: ask explains, architect weighs."""
