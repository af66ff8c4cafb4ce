"""Whether texts are clearly in another language than those asked for: by script, and by words without a meaning.

No model, and no guess at which language a text is in. What does not speak for another language passes: names, labels,
formulas, short queries. Languages that share a script other than Latin (Russian and Ukrainian, Arabic and Persian) are
not told apart.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.text_shingles import split_words

# Articles, prepositions, pronouns, auxiliaries and conjunctions that running text cannot do without.
_FUNCTION_WORDS = {
    "en": "the of and to in is was are were that for it with as his her he she they be by on not or have had has which "
    "from this but at an their what who how why when where does did do you your can will would i we my its there than",
    "de": "der die das und ist nicht ein eine einen einem einer den dem des mit von zu im auf für als auch sich wird "
    "wurde war sind werden bei aus nach wie was wer über er sie es ich wir haben hat noch nur oder aber dass zum zur",
    "fr": "le la les des du un une et est dans que qui pour sur par au aux ne pas plus avec son sa ses ce cette il "
    "elle ils sont été était ont nous vous je mais ou où quel quelle comme leur en de se",
    "es": "el la los las un una de del y en que es por con para se su sus no al lo como más fue son era está han pero "
    "qué cuál quién cómo dónde ha hay este esta entre sobre también ser muy",
    "it": "il lo la gli le un una di del della dei delle e che è in per con non si da al alla nel nella sono era come "
    "ha hanno anche più questo questa suo sua cosa chi dove quando dal dalla ma se",
    "pt": "o a os as um uma de do da dos das e que é em no na nos nas por para com não se ao à foi são era mais como "
    "seu sua mas ou também qual quem onde quando pelo pela está ele ela",
    "nl": "de het een en van in is dat op te zijn met voor niet aan er om ook als bij door naar uit werd was wordt "
    "deze dit maar wat wie hoe waar hij zij ze hebben heeft naar over nog of",
    "pl": "i w z na do się jest nie że to jak od za po przez dla jego jej są był była było być oraz który która które "
    "ale czy co kto gdzie kiedy o tym tego lub ze ich",
    "sv": "och i att det som en ett på är av för med den till inte om har de var från vid kan men hur vad vem där när "
    "han hon sig eller ska också efter under",
    "tr": "ve bir bu da de için ile olarak olan çok daha gibi ne var en o kadar sonra ama veya hangi nasıl nerede kim "
    "olduğu tarafından değil mı mi",
    "id": "yang dan di dari untuk dengan pada ini itu adalah dalam tidak akan oleh sebagai ke juga atau telah apa "
    "siapa bagaimana mana kapan ada mereka bisa dapat karena",
    "vi": "và của là có trong các được cho với những một không này người đã khi để từ đến như về tại cũng ra gì ai đâu",
}
_WORDS = {language: frozenset(words.split()) for language, words in _FUNCTION_WORDS.items()}
_HAN, _KANA, _CYRILLIC, _ARABIC = r"\p{Han}", r"\p{Hiragana}\p{Katakana}", r"\p{Cyrillic}", r"\p{Arabic}"
_SCRIPTS = {
    "zh": _HAN,
    "ja": _HAN + _KANA,
    "ko": r"\p{Hangul}",
    "ru": _CYRILLIC,
    "uk": _CYRILLIC,
    "bg": _CYRILLIC,
    "ar": _ARABIC,
    "fa": _ARABIC,
    "el": r"\p{Greek}",
    "he": r"\p{Hebrew}",
    "hi": r"\p{Devanagari}",
    "th": r"\p{Thai}",
}
LANGUAGES = (*_WORDS, *_SCRIPTS)

_DENSE = rf"[{_HAN}{_KANA}\p{{Hangul}}]"  # characters that are a word or a syllable
_DENSE_WEIGHT = 3  # in letters
_FEWEST_LETTERS = 4
_FEWEST_WORDS = 6


def in_another_language(texts: pa.Array, languages: Collection[str]) -> np.ndarray:
    """Whether each text (no nulls) is clearly in none of some `languages` of LANGUAGES, bool[n].

    By script: less than half of its letters are of theirs. By words, where it is in Latin script and theirs may be:
    twice as many function words of one other language as of one of theirs, at least two, and one word in seven.
    """
    scripts = [_SCRIPTS.get(language, r"\p{Latin}") for language in languages]
    own = _letters(texts, "".join(sorted(set(scripts))))
    all_letters = _letters(texts, r"\p{L}")
    elsewhere = (all_letters >= _FEWEST_LETTERS) & (2 * own < all_letters)
    latin = [language for language in languages if language in _WORDS]
    if latin:
        places = np.flatnonzero(~elsewhere)
        elsewhere[places] = _speaks_for_another(texts.take(pa.array(places)), latin)
    return elsewhere


def _letters(texts: pa.Array, script: str) -> np.ndarray:
    """Letters of a script in each text; dense ones count more."""
    letters = np.asarray(pc.count_substring_regex(texts, f"[{script}]")).astype(np.int64)
    if script == r"\p{L}":
        return letters + (_DENSE_WEIGHT - 1) * np.asarray(pc.count_substring_regex(texts, _DENSE))
    dense = "".join(part for part in (_HAN, _KANA, r"\p{Hangul}") if part in script)
    if dense:
        letters += (_DENSE_WEIGHT - 1) * np.asarray(pc.count_substring_regex(texts, f"[{dense}]"))
    return letters


def _speaks_for_another(texts: pa.Array, languages: Collection[str]) -> np.ndarray:
    words = split_words(texts)
    counts = pc.fill_null(pc.list_value_length(words), 0).to_numpy(zero_copy_only=False)
    row = np.repeat(np.arange(len(texts)), counts)
    said = pc.list_flatten(words)

    def spoken(some: Collection[str]) -> np.ndarray:
        hits = pc.is_in(said, pa.array(sorted(some), pa.string())).to_numpy(zero_copy_only=False)
        return np.bincount(row[hits], minlength=len(texts))

    ours = frozenset().union(*(_WORDS[language] for language in languages))
    own = np.max([spoken(_WORDS[language]) for language in languages], axis=0)
    others = [spoken(_WORDS[other] - ours) for other in _WORDS if other not in languages]
    if not others:
        return np.zeros(len(texts), dtype=bool)
    foreign = np.max(others, axis=0)
    # Words that another language has too (in, is, was, die) speak for ours but may be the other's.
    shared = np.max([spoken(ours & _WORDS[other]) for other in _WORDS if other not in languages], axis=0)
    alone = np.maximum(own - shared, 0)
    return (counts >= _FEWEST_WORDS) & (foreign >= 2) & (foreign > 2 * alone) & (7 * foreign >= counts)
