"""Quotations and sentences of a caption, by rules of their typography."""

from __future__ import annotations

import itertools
import re

# A mark after a digit is inches; an apostrophe inside a word, or before a decade, is none of a quotation's. Each
# alternative starts with its character, so that the search skips all others.
_QUOTED = re.compile(
    r""""(?<!\d")[^"]*" | “[^“”]*” | „[^„“”]*[“”] | «[^«»]*» | 「[^「」]*」 | 『[^『』]*』
    | ‘(?<!\w‘)(?:[^‘’]|(?<=\w)’(?=\w)){1,300}’
    | '(?<![\w']')(?![\s'])(?!\d\ds)(?:[^']|(?<=\w)'(?=\w)){1,300}(?<!\s)'(?!\w)""",
    re.VERBOSE,
)
_OPENING = re.compile(r""""(?<!\d")|[“„«「『‘]|'(?<![\w']')(?![\s'])(?!\d\ds)""")
_END = re.compile(r"""[.!?…।؟۔]+["”’')\]»]*(?=\s|$)|[。！？][」』”]*""")
_ABBREVIATIONS = (
    " approx apr aug ave avg blvd bros ca capt cf co col corp dec dept dr ed eds est excl feb fig "
    "figs ft gen gov hon "
    "hwy inc incl jan jr jul jun lt ltd mar max messrs min mr mrs ms mt no nos nov oct op pp pres "
    "prof rd rep rev sen "
    "sep sept sgt sr st ste tel univ viz vol vs "
)
# Articles, prepositions and conjunctions after which no sentence or caption ends.
_NEVER_LAST = {
    "en": "a an the of and or with from its their his our into onto between than because while whose "
    "as which that is "
    "are was were very to at for has have had be been being towards toward beside among upon during although though "
    "where when who whom whether unless until if but nor every several both such via per can will may might would "
    "should could does appears seems wears wearing holding holds shows showing depicts depicting contains containing "
    "featuring features includes including carrying consists displays displaying surrounding his my "
    "your these those beneath amid amidst amongst leaving causing making creating giving adding",
    "de": "der die das den dem des ein eine einen einem einer eines und oder sowie von im am beim "
    "vom zum zur mit auf in "
    "an aus bei für über unter hinter neben zwischen gegen ohne durch dass weil während deren dessen "
    "ist sind hat haben "
    "wird werden trägt zeigt welche welcher welches sehr seine seiner seinem seinen ihre ihrer ihrem ihren sein",
    "fr": "le la les un une des du de d et ou avec dans au aux leur leurs son ses sa sur sous devant "
    "derrière entre vers "
    "par pour chez sans qui que dont est sont a ont porte tient très ce cette ces se parmi contre "
    "depuis où lequel l qu",
    "es": "el la los las un una unos unas de del y e o con en por para su sus al que ante bajo entre hacia sobre sin "
    "desde hasta es son está están tiene lleva muy cuyo cuya cuyos cuyas donde mientras se junto lo",
    "it": "il lo la i gli le un uno una di del della dei delle e o con in nel nella al alla per da "
    "dal dalla dai dalle "
    "su sul sulla sui sulle tra fra che cui è sono ha hanno indossa molto sotto verso mentre dove a "
    "ad nei negli nelle l un",
    "pt": "o a os as um uma uns umas de do da dos das e ou com em no na nos nas por para seu sua que "
    "ao à aos às pelo "
    "pela entre sob sobre num numa nuns numas dum duma é são está estão tem muito cujo cuja onde enquanto seus suas",
    "nl": "de het een van en of met die dat voor naast tussen onder boven tegen door bij naar zonder tijdens wiens "
    "is zijn heeft draagt zeer hun haar terwijl waar waarvan waarop waarin waarbij waarmee op in aan",
    "sv": "en ett och eller med av som framför bakom bredvid mellan under mot genom vid är har bär mycket sin sitt "
    "sina deras medan där på i till från den det de för",
    "da": "en et og eller med af som der foran bag mellem under mod gennem ved er har bærer meget sin sit sine deres "
    "mens hvor på i til fra den det de for",
    "no": "en et ei og eller med av som foran bak mellom under mot gjennom ved er har bærer veldig "
    "sin sitt sine deres "
    "mens hvor på i til fra den det de for",
    "fi": "ja tai sekä joista joissa joilla jolta jota johon joihin joka jotka jonka jossa jolla "
    "joiden on ovat kun että kuin hyvin koska mutta",
    "pl": "i oraz lub w z na do od przez który która które których którym której ze pod nad przed za "
    "po u dla jest są "
    "ma bardzo ich jego jej gdzie podczas się o a aby że stoi leży siedzi",
    "cs": "a nebo v z na do od s který která které kterou jejíž jehož ve ze pod nad před za po u pro "
    "je jsou má velmi "
    "jejich jeho její kde zatímco se o že stojí leží sedí",
    "ro": "un o de cu și sau în la pe care al ale ai a din prin spre sub peste între lângă pentru "
    "este sunt are foarte "
    "iar unde ale lui cărei cărui se",
    "hu": "a az egy és vagy amely amelyek amelynek aki akik akinek ahol mint hogy mert nagyon miközben két de",
    "tr": "ve bir veya ile için gibi çok olan ki ya iki ancak fakat çünkü",
    "id": "dan atau di dari dengan yang sebuah seorang ke pada untuk oleh adalah seekor para sedang sambil sangat "
    "antara dalam depan bagi sementara ketika sehingga tetapi namun",
    "vi": "và của với một các những đang trong trên dưới bên cạnh được là có rất mà khi từ cho hai ở trước hoặc mặc",
    "ru": "и или в на с из от до под за к у по который которая которое которые которых которого "
    "которой со во над перед "
    "между для при без что где очень его её их а но стоит лежит сидит висит чем о об около возле",
    "uk": "і й та або в у на з із від до за який яка яке які яких якого якої під над перед між для "
    "при без що де дуже "
    "його її їх а але стоїть лежить сидить висить біля про зі",
    "bg": "и или в на с със от до който която което които чиито чиято под над пред зад между за при без че където "
    "много е са има неговата нейната техните стои лежи седи по към една един едно",
    "el": "και ή ο η το οι τα του της των με σε στο στη στην στον στους στις που από για προς μπροστά πάνω κάτω πίσω "
    "ανάμεσα είναι έχει έχουν πολύ ένα έναν μια μία ένας τον την τους τις ενώ όπου δίπλα",
    "ar": "و في من على إلى أمام خلف تحت فوق بين بجانب التي الذي الذين مع عن هو هي ذات ذو حيث أو أن حول عند نحو قرب "
    "بينما لكن",
    "fa": "و در از به با که یک روی زیر کنار جلوی پشت بین برای تا را بر یا اما ولی",
    "he": "של את עם על מול ליד מתחת מעל בין אל או אשר כי הוא היא שבו שבה לצד מאחורי לפני בתוך בעוד כאשר ו ה ב ל ש",
    "hi": "के का की में और एक जो से पर ने को या जिसमें जिसके जिसकी जिसका बहुत तथा कि जबकि लेकिन",
}
# Of scripts without blanks, or whose endings are written as one with their words.
_NEVER_LAST_CHARS = {
    "zh": r"(?:(?<![温祥平柔缓])和|与|與|以及|或|或者|(?<![存所内现現自正实])在|正在|位于|位於"
    r"|一[个個只隻位名条條张張座辆輛把件幅群对對块塊片束根棵]"
    r"|两[个只位名条张座辆把]|(?<![方走一])向|从|從|把|被|穿着|拿着|写着|戴着|抱着|印着|挂着|穿著"
    r"|拿著|戴著|并且|其中|但|而|是|以及|旁边是|(?<!没)有)$"
    r"|(?:^|[，。；、])[^，。；、是]*的$",
    "ja": r"(?:の|は|が|を|に|で|と|へ|や|から|そして|または|および|ており|ていて|という|その|この|一人の)$",
    "ko": r"(?:(?<![가마])을|를|에서|에게|으로|있는|하는|입은|그리고|또는|위의|앞의|옆의|및|와"
    r"|과 함께|(?:^|\s)(?:한|두|세|그|이))$",
    "th": r"(?:และ|(?<!สถาน)(?<!หน้า)(?<!พื้น)(?<!เต็ม)(?<!ทัน)ที่|ใน|(?<!สิ่ง)ของ|(?<!ด้าน)(?<!ข้าง)บน|กับ"
    r"|โดย|ซึ่ง|กำลัง|จาก|หรือ|เป็น|(?<!ไม่)มี|ด้วยกัน)$",
}
_NEVER_LAST_CHARS_IN = {language: re.compile(pattern) for language, pattern in _NEVER_LAST_CHARS.items()}
_POSTURES = (
    "sits?|stands?|lies?|hangs?|leans?|rests?|sitting|standing|lying|hanging|leaning|resting|parked|"
    "placed|mounted|stacked|"
    "perched|balanced|tied|attached|fixed|scattered|draped|dressed|gathered|located|seated|set|"
    "positioned|stopped|stops?|waits?|waiting|walks?|walking"
)
_COUNTS = (
    "two|three|four|five|six|seven|eight|nine|ten|several|some|many|few|another|other|more|"
    "various|numerous|different|multiple"
)
_ADJECTIVES = (
    "small|large|big|tall|short|long|wide|narrow|old|young|new|tiny|huge|little|wooden|bright|dark|"
    "light|pale|thick|thin|round|"
    "square|rectangular|heavy|colou?rful|white|black|red|blue|green|yellow|brown|grey|gray|orange|"
    "pink|purple|single|dense|"
    "striped|plain|simple|beautiful|busy|blurred|blurry|vintage|modern|ornate|matching|rusty|sandy|"
    "grassy|rocky|snowy|cloudy|calm"
)
# What an English text ends with that breaks off, though its last word may well be the last of another.
_ENGLISH_BREAK = re.compile(
    rf"""\b(?:{_POSTURES})\s+(?:quietly\s+)?(?:on|in|at|near|behind|against|under|inside|above
      |below|beside|next|along|across|by|over|around)$
    | \b(?:\w{{3,}}ed|lit|held|built|worn|taken|seen|hidden|driven|written|drawn|made)\s+by$
    | \b(?:and|with|has|have|are|shows?|of|includ\w+|by)\s+(?:{_COUNTS})$
    | ,\s+(?:its|his|her|their)\s+\w+$ | ,\s+(?:each|all|some|one|two|both|most)$ | \band\s+(?:then|is|are|has
        |another|some|the|in|on)$
    | \b(?:a|an|his|her|its|their|with|wearing|holding|in\s+(?=matching))\s*(?:{_ADJECTIVES})$
    | \b(?:in\s+front|next|close|adjacent|because|instead|out|on\s+top|in\s+the\s+(?:middle|centre|center))\s+(?:of|to)$
    | \bin\s+front$ | \b(?:runs?|runn?ing|stretch(?:es|ing)|leads?|leading|extends?|extending|passes
        |passing)\s+(?:along|through|over|across|into|past|under|from)$""",
    re.VERBOSE | re.IGNORECASE,
)
_NEVER_LAST_IN = {language: frozenset(listed.split()) for language, listed in _NEVER_LAST.items()}
_LAST_WORDS = re.compile(r"[^\s,;:!?.()«»\"]+")
_GOES_ON = re.compile(r"[,;:(\[{/&+=–—、，；：（・-]$")
_CLOSED = re.compile(r"""[.!?…。！？।؟۔]["”’')\]»」』]{0,8}$""")
_LAST_TOKEN = re.compile(r"[\w.]*$")
_INITIALS = re.compile(r"[^\W\d]|(?:\w\.)+\w|(?:\w+\.)+[a-z]", re.IGNORECASE)  # J., U.S., Ph.D.


def without_quotations(text: str) -> str:
    """Returns the text without what it quotes, such as lettering in the picture."""
    return _QUOTED.sub(" ", text)


def sentences(text: str) -> list[str]:
    """Returns the sentences of a text of one line; what comes after the last one's end is one, too."""
    stops = [0, *_stops(_mask(text)), len(text)]
    pieces = [text[start:stop].strip() for start, stop in itertools.pairwise(stops)]
    return [piece for piece in pieces if piece]


def truncate_to_sentence(text: str) -> str:
    """Returns a text that was cut off, up to its last full sentence; "" if it has none.

    A full stop inside a quotation or brackets that are still open ends nothing. One after a number at the very end,
    where more digits may have been to come, does if there is no other.
    """
    masked = _mask(text)[: _unclosed(text)]
    stops = [end for end in _stops(masked) if masked.count("(", 0, end) <= masked.count(")", 0, end)]
    if len(stops) > 1 and stops[-1] == len(text) and text[-2:-1].isdigit():
        stops.pop()
    return text[: stops[-1]] if stops else ""


def has_end_mark(text: str) -> bool:
    """Returns whether a text ends as a sentence does, closing quotation marks and brackets aside."""
    return _CLOSED.search(text) is not None


def goes_on(text: str, language: str = "en") -> bool:
    """Returns whether a text of one line breaks off: its end is a comma, an open bracket or quotation, or a word such
    as "the".

    A fragment that is complete in itself, as a noun phrase is, does not. `language` is an ISO 639-1 code.
    """
    if has_end_mark(text):
        return False
    masked = _mask(text)
    if _GOES_ON.search(text) or masked.count("(") > masked.count(")") or _unclosed(text) is not None:
        return True
    if language in _NEVER_LAST_CHARS_IN:
        return _NEVER_LAST_CHARS_IN[language].search(masked) is not None
    if language == "en" and _ENGLISH_BREAK.search(masked[-80:]):
        return True
    last_words = _LAST_WORDS.findall(masked.lower()[-80:])
    return len(last_words) > 1 and last_words[-1] in _NEVER_LAST_IN.get(language, ())


def _unclosed(text: str) -> int | None:
    """Returns where a quotation begins that does not end."""
    found = _OPENING.search(_QUOTED.sub(lambda quoted: "q" * len(quoted[0]), text))
    return found.start() if found else None


def _mask(text: str) -> str:
    """Returns the text, as long as it was, without the inside of its quotations; how they end is kept."""
    return _QUOTED.sub(lambda found: _masked(found[0]), text)


def _masked(quotation: str) -> str:
    kept = 2 if quotation[-2:-1] in (".", "!", "?", "…") else 0
    return "q" * (len(quotation) - kept) + quotation[len(quotation) - kept :]


def _stops(text: str) -> list[int]:
    """Returns where sentences end: the places after their last characters."""
    return [found.end() for found in _END.finditer(text) if _is_end(text, found)]


def _is_end(text: str, found: re.Match[str]) -> bool:
    following = text[found.end() : found.end() + 2].strip()[:1]
    if following.islower():
        return False
    if not found[0].startswith(".") or found[0].startswith(".."):
        return True
    token = _LAST_TOKEN.search(text, max(0, found.start() - 16), found.start())
    before = token[0] if token else ""
    return f" {before.lower()} " not in _ABBREVIATIONS and not _INITIALS.fullmatch(before)
