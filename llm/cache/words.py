"""Words the guard looks at, in English and Russian."""

from __future__ import annotations

from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _counted(text: str) -> dict[str, str]:
    return {word: str(number) for number, word in enumerate(text.split())}


NEGATIONS: Final = _words(
    "no not never without none nor neither cannot can't don't doesn't isn't aren't won't shouldn't didn't except "
    "unless не нет ни без никогда нельзя кроме никак"
)
NUMBERS: Final = {
    **_counted("zero one two three four five six seven eight nine ten eleven twelve"),
    **_counted("zeroth first second third fourth fifth sixth seventh eighth ninth tenth"),
    **_counted("ноль один два три четыре пять шесть семь восемь девять десять одиннадцать двенадцать"),
    **_counted("нулевой первый второй третий четвертый пятый шестой седьмой восьмой девятый десятый"),
}
DIRECTIONS: Final = _words(
    "to into in from than before after over under within between в во из на от до чем после перед между"
)
"""What follows one of these may not change places with what follows another."""
ASKED: Final = _words(
    "who whom whose when where why many much often was were did кто кого чей когда где куда откуда почему зачем "
    "сколько был была было были будет будут"
)
"""What is asked for, and of which time: `who`, not `when`; `is`, not `was`."""
FILLERS: Final = _words(
    "a an the of on at by for with and or is are was be been do does did how what whats which who where when why "
    "can could would should will shall may i you we they me my your our it its this that these those there please "
    "tell explain show give help need want know way ways possible exactly just some any us about as if so then "
    "have has also let s re ve ll m d hi hello hey thanks thank best using use used "
    "и или а но что как какой какая какое какие каков какова где когда почему зачем кто это этот эта эти тот та те "
    "мне меня мой моя мое мои я ты вы мы он она оно они его ее их нам вам ли бы же то так по с со у о об за для при "
    "можно нужно надо пожалуйста подскажи подскажите скажи скажите объясни объясните расскажи расскажите покажи "
    "покажите помоги помогите хочу есть быть будет был была было были такое такой такая привет здравствуйте спасибо "
    "еще просто способ способом каким каких лучше всего назови назовите укажи напомни"
)
SYNONYMS: Final = (
    _words("delete remove erase"),
    _words("create make"),
    _words("big large huge"),
    _words("quick fast"),
    _words("begin start"),
    _words("end finish stop"),
    _words("fix repair"),
    _words("folder directory"),
    _words("show display print"),
    _words("convert transform turn"),
    _words("difference differ differs different"),
    _words("mean means meaning"),
    _words("author wrote written writer"),
    _words("exit quit leave"),
    _words("удалить удаляю удаления стереть убрать"),
    _words("создать сделать завести"),
    _words("папка папку папки каталог каталога директория директорию"),
    _words("показать вывести отобразить"),
    _words("начать запустить"),
    _words("отличается отличие разница"),
    _words("значит означает"),
    _words("преобразовать перевести конвертировать"),
)
