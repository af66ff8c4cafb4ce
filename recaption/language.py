"""Whether a caption is in the language that was asked for: by its script, and by the words that carry no meaning.

No model and no guess at which language it is: a caption is in the wrong one if it speaks clearly for another. So what
has no such words, such as names or a list of things, passes.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

from recaption.sentences import without_quotations, words

# Function words and, for a caption, words of place and number, of the languages in Latin script that models answer in.
_FUNCTION_WORDS = {
    "en": "the a an of in on at with and is are to by for from it its this that their his her which while there as has "
    "have into near over under behind between against around through one two some both each who they next front",
    "de": "der die das den dem des ein eine einen einem einer und ist sind mit auf im von zu zum zur für aus bei nicht "
    "sich auch wird werden über unter vor hinter neben zwei drei einige auf dem sowie links rechts",
    "fr": "le la les un une des du de et est sont avec dans sur pour par au aux qui que ce cette ses son sa à il elle "
    "deux trois plusieurs devant derrière sous près en se d'un d'une",
    "es": "el la los las un una unos unas de del y es son con en sobre por para que se su sus al está están hay dos "
    "tres varios junto frente detrás bajo lado mientras",
    "it": "il lo la i gli le un uno una di del della dei delle e è sono con in su sul sulla per che si nel nella al "
    "alla da dal due tre alcuni davanti dietro accanto sotto mentre",
    "pt": "o a os as um uma uns umas de do da dos das e é são com em no na nos nas por para que se ao à está estão há "
    "dois duas três vários frente atrás sob lado enquanto",
    "nl": "de het een en is zijn met op in te voor aan bij uit niet ook wordt worden naar onder achter naast twee drie "
    "enkele die dat er staat zit",
    "sv": "en ett och är med på av till för som det den de har vid från under bakom framför två tre några inte står",
    "da": "en et og er med på af til for som det den de har ved fra under foran to tre nogle ikke står sidder",
    "no": "en et og er med på av til for som det den de har ved fra under bak foran to tre noen ikke står sitter",
    "fi": "ja on ovat joka jossa kanssa sekä myös se hän edessä takana alla yksi kaksi kolme ei ovat oikealla",
    "pl": "i w z na do jest są się nie że oraz przez przed za pod obok który która które dwa dwie trzy jej jego od po",
    "cs": "a v z na do je jsou se že nebo před za pod vedle který která které dva dvě tři jeho její od po s ve",
    "ro": "și si în cu pe la de din este sunt care un o unei unui pentru lângă sub două trei doi mai al ale",
    "hu": "a az egy és van vannak nem egyik mellett előtt mögött alatt két három is ez amely aki hogy",
    "tr": "bir ve bu ile için olan üzerinde yanında önünde arkasında altında iki üç var da de çok gibi",
    "id": "yang di dan dengan dari ini itu pada untuk sebuah seorang ada dua tiga dalam adalah di atas bawah depan",
    "vi": "một và của là có trong các những được với trên đang người này cho hai ba màu đứng ngồi",
}
_STOP_WORDS = {language: frozenset(listed.split()) for language, listed in _FUNCTION_WORDS.items()}

_LATIN = "A-Za-zªºÀ-ɏʰ-˿ᴀ-ᶿḀ-ỿⅠ-ↈＡ-Ｚａ-ｚ"
_LETTER = re.compile(r"[^\W\d_]")
_NOT_LATIN = re.compile(rf"(?=[^\W\d_])[^{_LATIN}\U0001d400-\U0001d7ff]")
_HAN, _KANA, _HANGUL = r"\u3400-\u9fff\uf900-\ufaff", r"\u3040-\u30ff", r"\u1100-\u11ff\uac00-\ud7a3"
_CYRILLIC, _ARABIC = r"\u0400-\u052f", r"\u0600-\u06ff\u0750-\u077f"
_SCRIPTS = {
    "zh": _HAN,
    "ja": _HAN + _KANA,
    "ko": _HANGUL,
    "ru": _CYRILLIC,
    "uk": _CYRILLIC,
    "bg": _CYRILLIC,
    "el": r"\u0370-\u03ff\u1f00-\u1fff",
    "ar": _ARABIC,
    "fa": _ARABIC,
    "he": r"\u0590-\u05ff",
    "hi": r"\u0900-\u097f",
    "th": r"\u0e00-\u0e7f",
}
LANGUAGES = (*_STOP_WORDS, *_SCRIPTS)

# Palacio de la Alhambra, Ludwig van Beethoven: function words of names are no language's.
_NAME = re.compile(
    r"[^\W\d_a-zß-ÿ][\w'’-]+(?:,?(?:\s(?:de|d[aeiou]|do|dos|das|des|del|della|la|las|los|le|les|el|al|il|van|von|der|den|"
    r"zu|y|e|et|und|en|sur|av|och|og|i))*,?\s[^\W\d_a-zß-ÿ][\w'’-]+)+"
)
_FEWEST_WORDS = 6
_ACCENTED = re.compile(r"[^\W\d_a-z]")


def in_another_language(text: str, language: str, most_other_letters: float) -> bool:
    """Whether a text of one line is clearly in another language than `language`, one of LANGUAGES.

    Quotations don't count. `most_other_letters` is the share of letters in another script that a text may have.
    """
    plain = without_quotations(text)
    if language in _SCRIPTS:
        letters = len(_LETTER.findall(plain))
        return _lacks_script(plain, _SCRIPTS[language], letters)
    if not plain.isascii() and _has_other_script(plain, most_other_letters):
        return True
    return _speaks_for_another(plain, language)


def _lacks_script(text: str, script: str, letters: int) -> bool:
    own = len(re.findall(f"[{script}]", text))
    weight = 3 if _HAN in script else 1  # a character that is a word, where a name in Latin script has many
    return letters > 0 and weight * own < letters - own


def _has_other_script(text: str, most: float) -> bool:
    other = len(_NOT_LATIN.findall(text))
    letters = len(_LETTER.findall(text)) if other else 0
    return other > max(most, 0.5) * letters or (other > 20 and other > most * letters)


def _speaks_for_another(text: str, language: str) -> bool:
    foreign = _foreign(language)
    said = words(text)
    if len(said) < _FEWEST_WORDS:
        return False
    if sum(map(foreign.__contains__, said)) < 2:
        return _is_accented(text, language)
    said = words(_NAME.sub(" ", text))
    hits: Counter[str] = Counter(other for word in said for other in foreign.get(word, ()))
    for other, count in hits.most_common(3):
        own = sum(word in _STOP_WORDS[language] and word not in _STOP_WORDS[other] for word in said)
        if count >= 2 and count > 2 * own and count >= 0.15 * len(said):
            return True
    return _is_accented(text, language)


def _is_accented(text: str, language: str) -> bool:
    """Of languages that aren't listed: English has few letters beyond a to z, save in names."""
    if language != "en" or text.isascii():
        return False
    small = [word for word in text.split() if word.islower()]
    return len(small) >= _FEWEST_WORDS and sum(map(bool, map(_ACCENTED.search, small))) > 0.35 * len(small)


@lru_cache
def _foreign(language: str) -> dict[str, tuple[str, ...]]:
    """Words that speak for other languages and not for this one -> those languages."""
    own = _STOP_WORDS[language]
    found: dict[str, list[str]] = {}
    for other, listed in _STOP_WORDS.items():
        for word in sorted(listed - own):
            found.setdefault(word, []).append(other)
    return {word: tuple(languages) for word, languages in found.items()}
