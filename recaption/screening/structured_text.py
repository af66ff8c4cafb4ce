"""Detects structured text where prose was requested: JSON, tags, key: value, lists, in one line or several."""

from __future__ import annotations

import re

from corpus.text.sentences import without_quotations

_JSON = re.compile(
    r"""^\W{0,3}[{\[]\s*(?:[{\["']|\}|\]|[\w\s]{1,30}:\s)  # begins as an object or a list of strings
    | ["'][\w\s-]{1,40}["']\s*:\s*(?:["'\[{]|-?\d|true\b|false\b|null\b)""",
    re.VERBOSE,
)
_ASSIGNED = re.compile(r"^\w+\s*=\s*[\"'\[{(\d]")
_XML = re.compile(r"<([A-Za-z][\w-]{0,40})(?:\s[^<>]{0,200})?>.*</\1\s*>|^<[A-Za-z][\w-]*(?:\s[^<>]*)?/>", re.DOTALL)
# "Subject: a bridge." again and again. A key has up to three words; times, ratios and addresses have none.
_IN_KEY = r"[^.,;:|=!?\"'\n：；，。、।،؛\u3000]"
_KEY = rf"(?:[^\W\d_]{_IN_KEY}{{0,28}}?\s?(?:[:：]|\s[-–—]\s)|[^\W\d_]\w*\s?[=＝])\s?(?=[^\W_]|[\"'\[(])(?!//)"
_KEY_VALUE = re.compile(
    rf"(?:^|[.;,|\n；，。、।،؛\u3000]\s*|\s[-–—/]\s){_KEY}|(?<!\w)[A-Z]\w{{2,20}}:\s(?=\w)|(?:^"
    rf"|\s)[^\W\d_][^\s:：]{{0,11}}[:：](?=\w)"
)
_BEGINS_WITH_KEY = re.compile(rf"\W{{0,3}}{_KEY}")
_MIN_KEYS = 3
_KEY_LINE = re.compile(rf"^\W{{0,4}}{_KEY}.*$|^\s*\[\w+\]\s*$")
_TABLE_LINE = re.compile(r"^[ \t]*\|.*\|[ \t]*$", re.MULTILINE)
_GROUP = re.compile(r"\[[^\[\]]{1,40}\]|<[^<>]{1,40}>|\([^()]{1,40}\)")
_LABEL = re.compile(
    r"\W{0,3}(?:tags?|keywords?|labels?|hashtags?|objects?|categor(?:y|ies)|entities|attributes"
    r"|schlagw\w+|stichw\w+|mots[- ]clés"
    r"|palabras clave|etiquetas|parole chiave|palavras-chave|trefwoorden|nyckelord|nøgleord|nøkkelord"
    r"|avainsanat|słowa kluczowe"
    r"|klíčová slova|cuvinte cheie|kulcsszavak|anahtar kelimeler|kata kunci|từ khóa|关键词|關鍵詞"
    r"|标签|標籤|キーワード|タグ|키워드|태그"
    r"|ключевые слова|теги|ключові слова|ключови думи|λέξεις-κλειδιά|ετικέτες|كلمات مفتاحية"
    r"|الكلمات المفتاحية|کلیدواژه‌ها|برچسب‌ها"
    r"|מילות מפתח|תגיות|कीवर्ड|टैग|คำสำคัญ|แท็ก)\s*[:：=]",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"""^[ \t]*(?:def|class|function|func|fn|struct|enum|interface|public|private|async|export)\s+\w+[\w\s]*[({:<]
    | ^[ \t]*(?:const|let|var|auto|int|string|final)\s+\w+\s*(?::\s*\w+\s*)?=
    | ^[ \t]*(?:import|from|using|require|package|\#include)\s+[\w."'<>/]+(?:\s+import\s+\w+|;)?\s*$
    | ^[ \t]*return\s+["'{\[(\w].*;?\s*$
    | ^[ \t]*[\w.]+\(\w+(?:,\s*\w+=?\w*)+\)\W*$ | ^[ \t]*\w*\s*\{\s*\w+;
    | ^[ \t]*[\w.]+\((?:["'`\[{]|\w+\s*=|\w*\)).*\)?;?\s*$
    | \b(?:SELECT|INSERT\s+INTO|UPDATE|DELETE)\b.{1,80}\b(?:FROM|VALUES|SET|WHERE)\b
    | \\(?:begin|end|caption|includegraphics|section|item|textbf|frac)\b\s*[{\[]?
    | ^[ \t]*<\?(?:xml|php)|^[ \t]*\$\w+\s*=|^[ \t]*\((?:\w{1,20} )?\(\w
    | ^[ \t]*(?:if|for|while)\b[^.]{0,80}(?:[:{]\s*$|==|\+=|\+\+|:\s+\w+\(|\(\w+\s)
    | ^[ \t]*(?:echo|print|puts|printf|sudo|curl|git|npm|pip)\s+["'$-]
    | ^[ \t]*[.\#]?\w[\w\s.-]*\{\s*[\w-]+\s*:[^{}]*;?\s*\} | \w\(\);|\+\+\)|&&|\|\||!==|:=|\s==\s|^[ \t]*\$\s\w+
        | !\[[^\]]*\]\([^)]*\)""",
    re.VERBOSE | re.MULTILINE,
)
_COUNTED = re.compile(r"[^\W\d_][\w ]{0,30}?\s?[x×✕*]\s?\d{1,3}\b|\b\d{1,3}\s?[x×✕]\s?[^\W\d_]\w{2,}")
_BRACKETED = re.compile(r"\W?[{\[(][^{}\[\]()]*,[^{}\[\]()]*[}\])]\W?")
_ITEM_IN_BRACKETS = re.compile(r"[^\W\d_][^,;()\[\]]{0,24}[(\[][^()\[\]]{1,30}[)\]](?:\s*[,;]\s*|\W*$)")
_BARE_SCORE = re.compile(r"[^\W\d_]\w+\s+(?:0?\.\d+|1\.0+)(?!\w)")
_PAIRS = re.compile(r"\w+=[^\s&=]+(?:[&;]\w+=[^\s&=]+)+")
_TWO_LABELS = re.compile(
    r"\W{0,3}(?!(?i:left|right|top|bottom|above|below|cent|front|back|before|after|in"
    r"|out))[A-Z]?[a-z]+:\s[^.,:;]+[.,;]\s[A-Z]?[a-z]+:\s[^.,:;]+\.?$"
)
_NUMBERS = re.compile(r"^\W?(?:\w+\W+)?(?:-?\d+(?:\.\d+)?[\s,]+){3,}-?\d", re.MULTILINE)
_WEIGHTED = re.compile(r"\([\w ]+:\d(?:\.\d+)?\)")
_MARKS_BETWEEN = re.compile(r"\s[^\w\s.,;:!?&'\"()–—-]\s|\s[✔✘✓✗o]\s")
_NUMBERED_ITEM = re.compile(r"\d{1,3}\s[^\W\d_][\w ]{1,24}")
_PERCENT_ITEM = re.compile(r"[^\W\d_][\w ]{0,24}\s\d{1,3}(?:\.\d+)?\s?%")
_SLASHED = re.compile(r"[^\W\d_]\w*(?:/[^\W\d_]\w*){3,}\W?")
_ROMAN = re.compile(r"\W?i[.)]\s.*?\sii[.)]\s", re.IGNORECASE)
_SHORT_LABEL = re.compile(
    r"\W{0,3}(?:colou?rs?|subjects?|items?|elements?|things|people|animals|setting|mood|style|theme"
    r"|contents?|scene|visible|details?)\s*:\s*([^.:]+)\.?$",
    re.IGNORECASE,
)
_QUOTED_ITEM = re.compile(r"""["'“„«「][^"'“”„«»「」]{1,40}["'”“»」]""")
_ARROW = re.compile(r"\s(?:-+>|=+>|→|»|>+|⇒|➜)\s")
_MIN_QUOTED, _MIN_ARROWS = 4, 3
_CELLS = re.compile(r"[\t,;|，；،]")
_SCORE = re.compile(r"[^\W\d_][\w ]{1,30}[:=(]\s?(?:0?\.\d+|1\.0+|\d{1,3}\s?%|\d{1,3}\))")
_MIN_SCORES = 3
_HASHTAGS = re.compile(r"(?:^|\s)#\w+")
_INLINE_BULLET = re.compile(r"(?:^|\s)[•‣▪●·]\s")
_INLINE_NUMBER = re.compile(r"(?:^|[\s,;])[(\[]?(\d{1,2})[.):\]、．]\s*(?=[^\W\d_])")
_INLINE_LETTER = re.compile(r"(?:^|[\s,;])[(\[]?([a-h])[.):\]]\s+(?=\w)", re.IGNORECASE)
_MIN_ITEMS = 3
_MAX_CHARS = 1000  # of a text that are checked
_TAG_SEPARATOR = re.compile(r"\s*[,|;、，،؛；\n]\s*|\s[/>+&•·–—-]\s")
_MIN_TAGS, _MAX_TAG_WORDS = 6, 2
_SENTENCE_END = re.compile(r"[.!?。]\W{0,3}$")
_JOINS = re.compile(r"\b(?:and|or|und|et|y|e|en|och|og|i|a|sowie|with|of|on|in)\b|[.!?]$", re.IGNORECASE)


def is_structured_text(text: str) -> bool:
    """Returns whether a text of one line is structured, not prose. Quotations don't count, save in JSON."""
    text = text[:_MAX_CHARS]
    if any(pattern.search(text) for pattern in (_JSON, _ASSIGNED, _XML, _CODE)) or _LABEL.match(text):
        return True
    plain = without_quotations(text)
    if len(_QUOTED_ITEM.findall(text)) >= _MIN_QUOTED and not re.search(r"\w", _QUOTED_ITEM.sub("", text)):
        return True
    return (
        (_BEGINS_WITH_KEY.match(plain) is not None and len(_KEY_VALUE.findall(plain)) >= _MIN_KEYS)
        or len(_SCORE.findall(plain)) >= _MIN_SCORES
        or len(_COUNTED.findall(plain)) >= _MIN_SCORES
        or (len(_ARROW.findall(plain)) >= _MIN_ARROWS and not _SENTENCE_END.search(plain))
        or len(_HASHTAGS.findall(plain)) >= _MIN_ITEMS
        or len(_INLINE_BULLET.findall(plain)) >= _MIN_ITEMS
        or _is_numbered(plain)
        or _is_listed(plain)
        or _is_groups(plain)
        or _are_tags(plain)
    )


def has_structured_lines(text: str) -> bool:
    """Returns whether a text of several lines is a table or code, or has a key and a value in each line."""
    text = text[:_MAX_CHARS]
    lines = [line for line in text.splitlines() if line.strip()]
    if len(_TABLE_LINE.findall(text)) > 1 or _CODE.search(text):
        return True
    if len(lines) < 2:
        return False
    return all(_KEY_LINE.match(line) for line in lines) or _are_cells(lines)


def _are_cells(lines: list[str]) -> bool:
    """Returns whether lines are the rows of a table: with equal separators, and none of them a sentence."""
    if any(_SENTENCE_END.search(line) for line in lines):
        return False
    counts = {tuple(sorted(_CELLS.findall(line))) for line in lines}
    cells = counts.pop()
    return not counts and len(cells) > 0 and (len(cells) > 1 or cells[0] == "\t" or len(lines) > 2)


def _is_listed(text: str) -> bool:
    """Returns whether it is items alone: in brackets, each with a remark or a score or a number, or between slashes."""
    items = [item.strip(" .") for item in re.split(r"[,;，、]", text)]
    if len(items) > _MIN_ITEMS and all(_NUMBERED_ITEM.fullmatch(item) for item in items):
        return True
    if len(items) >= _MIN_ITEMS and all(_PERCENT_ITEM.fullmatch(item) for item in items):
        return True
    if found := _SHORT_LABEL.match(text):
        named = [item.strip() for item in re.split(r"[,;/]", found[1])]
        if len(named) >= _MIN_ITEMS and all(len(item.split()) <= _MAX_TAG_WORDS for item in named):
            return True
    return (
        _BRACKETED.fullmatch(text) is not None
        or ("".join(_ITEM_IN_BRACKETS.findall(text)) == text and len(_ITEM_IN_BRACKETS.findall(text)) >= _MIN_ITEMS)
        or len(_BARE_SCORE.findall(text)) >= _MIN_SCORES
        or _SLASHED.fullmatch(text) is not None
        or any(pattern.fullmatch(text) for pattern in (_PAIRS, _TWO_LABELS))
        or any(pattern.match(text) for pattern in (_ROMAN, _NUMBERS))
        or _WEIGHTED.search(text) is not None
        or (not _SENTENCE_END.search(text) and len(_MARKS_BETWEEN.findall(text)) >= 2 and len(text.split()) <= 12)
        or _are_single_words(text)
    )


def _are_single_words(text: str) -> bool:
    """Returns whether it is words with a full stop each, such as "Smith. Anvil. Hammer."."""
    pieces = [piece.strip() for piece in text.split(".") if piece.strip()]
    return len(pieces) > _MIN_ITEMS and all(len(piece.split()) == 1 for piece in pieces)


def _is_groups(text: str) -> bool:
    """Returns whether it is groups in brackets alone: "[bridge] [river] [heron]"."""
    return len(_GROUP.findall(text)) >= _MIN_ITEMS and not re.search(r"\w", _GROUP.sub("", text))


def _is_numbered(text: str) -> bool:
    """Returns whether it is a list with the numbers 1, 2, 3 before its items, the first of them at its beginning."""
    numbers = [int(number) for number in _INLINE_NUMBER.findall(text)]
    if _INLINE_NUMBER.match(text) is not None and numbers[:_MIN_ITEMS] == list(range(1, _MIN_ITEMS + 1)):
        return True
    letters = "".join(_INLINE_LETTER.findall(text)).lower()
    return _INLINE_LETTER.match(text) is not None and letters.startswith("abc")


def _are_tags(text: str) -> bool:
    """Returns whether it is short items between separators alone: "bridge, river, heron, stone, water, outdoors"."""
    tags = _TAG_SEPARATOR.split(text.strip())
    if len(tags) < _MIN_TAGS or _JOINS.search(text):
        return False
    return all(tag and len(tag.split()) <= _MAX_TAG_WORDS and len(tag) <= 30 for tag in tags)
