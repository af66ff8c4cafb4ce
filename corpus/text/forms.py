"""Finds texts that are no words about a picture but the name of its file, a date, a number, or a page's placeholder.

An alt-text is often filled by a program: by a camera (IMG_1234), a content-management system (`photo-3.jpg`, "Featured
image"), or a shop ("click to enlarge"). Whole texts are judged, never parts: "The sunset of IMG_1234" is a caption, and
so is a file's name that is a sentence ("my cat sleeps.jpg").
"""

from __future__ import annotations

import re
from enum import StrEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import one_array

MAX_CHARS = 200  # a longer text is no name, date or placeholder


class Form(StrEnum):
    """The form of a text that is no words about something."""

    FILE_NAME = "file_name"  # of a file, or a camera's or a program's number of a picture; several of them
    DATE = "date_only"  # a date, a time, or both
    NUMBER = "number_only"
    PLACEHOLDER = "placeholder"  # what pages have where nobody wrote a text


_EXTENSION = (
    r"\.(?:jpe?g|jpe|jfif|png|gif|webp|bmp|tiff?|svg|heic|avif|ico|psd|eps|raw|cr2|nef|pdf|mp4|m4v|mov|avi|webm)"
)
_CAMERA = (
    r"(?:img|dsc|dscn|dscf|pict|p|pic|mvi|mov|vid|pxl|gopr|sam|cimg|hpim|imag|imgp|sdc|wp|fb_img|signal|dji|screen|"
    r"screen ?shot|bildschirmfoto|captura|capture|snapshot|image|picture|photo|foto|bild|imagen|immagine|untitled|"
    r"unnamed|scan|slide|thumb|thumbnail|banner|default|download|attachment|inbound|received|file|wp-image|"
    r"whatsapp[ _-](?:image|video))s?"
)
# What follows a camera's word: numbers, and what stands between them.
_NUMBERING = (
    r"(?:[\s_\-–#.,:()\[\]@]|\d|\b(?:at|of|on|copy|edited|scaled|large|small|medium|e|n|o|am|pm|v)\b|\bwa(?=\d)|"
    r"(?<=\d)[xnovhs](?=\d|$|[._\-]))*"
)
_CAMERA_NAME = re.compile(rf"{_CAMERA}[\s_\-#.(]*\d{_NUMBERING}(?:{_EXTENSION})?", re.IGNORECASE)
# One of several names: a file's, a token with six digits in a row, a hash or a UUID.
_NAME = re.compile(
    rf"(?:[^\s/\\]*[/\\])*[^\s/\\]+{_EXTENSION}|(?=[\w\-]*\d{{6}})[\w\-]+|"
    r"(?=[0-9a-f\-]*\d)(?=[0-9a-f\-]*[a-f])[0-9a-f]{8,}(?:-[0-9a-f]{4,})*",
    re.IGNORECASE,
)
_BETWEEN_NAMES = re.compile(r"[\s,;|]+")
# "Adobe Photo 12.jpg", whose words in front are no file's: names with blanks that are short and end in a number.
_NUMBERED_FILE = re.compile(rf"(?:\S+\s+){{0,2}}\(?\d+\)?{_EXTENSION}", re.IGNORECASE)

_MONTHS = (
    "january february march april may june july august september october november december jan feb mar apr jun jul aug "
    "sep sept oct nov dec januar februar märz mai juni juli oktober dezember janvier février mars avril juin juillet "
    "août septembre octobre novembre décembre enero febrero marzo abril mayo junio julio agosto septiembre octubre "
    "noviembre diciembre gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre"
)
_DAYS = (
    "monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs fri sat sun montag "
    "dienstag mittwoch donnerstag freitag samstag sonntag lundi mardi mercredi jeudi vendredi samedi dimanche lunes "
    "martes miércoles jueves viernes sábado domingo"
)
_NAMES_OF_DATES = frozenset(f"{_MONTHS} {_DAYS}".split())
_DATE_FILLERS = "at on the of de du am pm utc gmt est pst cet uhr h st nd rd th t z a p m date posted published"
_DATE_WORDS = _NAMES_OF_DATES | frozenset(_DATE_FILLERS.split())
_DATE_TOKEN = re.compile(r"[^\W\d_]+|\d+")
_NUMERIC_DATE = re.compile(
    r"(?<!\d)\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?!\d)|(?<!\d)\d{1,2}:\d{2}(?!\d)|^(?:19|20)\d{2}(?:[-–](?:19|20)?\d{2})?$"
)

_THINGS = (
    "image|images|img|picture|pictures|pic|photo|photos|photograph|foto|fotos|bild|imagen|immagine|logo|icon|thumbnail|"
    "thumb|avatar|banner|cover|poster|screenshot|graphic|illustration|slide|video|media|file|gallery|preview|"
    "placeholder|spacer|header|footer|background|figure|product"
)
_KINDS = (
    "the|this|our|my|a|an|main|featured|feature|default|stock|sample|blog|post|article|product|item|user|profile|"
    "author|company|site|website|header|hero|cover|gallery|page|news|related|generic|blank|empty|small|large|big|full|"
    "new|alt|alternate|temporary|dummy|test|no|missing|broken|lazy|placeholder|preview|event|card|slider|thumbnail|"
    "listing"
)
_STATES = (
    r"not (?:found|available|provided|set)|(?:is )?(?:un|not )?available|coming soon|missing|here|placeholder|loading|"
    r"pending|small|large|full size"
)
_ON_CLICK = (
    f"on|here|the|this|to|for|your|in|an?|{_THINGS}|enlarge|zoom|view|see|open|expand|larger?|bigger|full|size|version|"
    "more|details|info|information|and|hi-?res|download|play|above|below|close"
)
_VIEWED = f"on|the|this|full|larger|bigger|large|sized?|original|high|resolution|more|all|in|a|new|window|{_THINGS}"
_PAGE_PARTS = (
    r"facebook|twitter|pinterest|instagram|linkedin|whatsapp|youtube|rss|print|e-?mail|subscribe|sign up|log ?in|"
    r"read more|learn more|shop now|buy now|add to cart|next|previous|prev|back|home|menu|search|close|play|pause|"
    r"arrow|left|right|up|down|new|sale|free shipping|pin ?it|tweet|retweet|share (?:on|via|to|this)(?: \w+){0,3}|"
    r"(?:follow|like|find) us(?: on(?: \w+){0,2})?"
)
_NO_TEXT = (
    r"untitled|unnamed|unknown|default|null|undefined|none|nan|n/?a|tbd|todo|test|lorem ipsum.{0,60}|empty|blank|pixel|"
    r"please wait|coming soon|image (?:may|might) contain\b.{0,80}|"
    r"advertis(?:e|ing|ement|ements)|ads?|sponsored|page \d+|figure \d+|fig\.? ?\d+|"
    r"related (?:posts?|images?|articles?|products?)"
)
_PLACEHOLDER = re.compile(
    rf"(?:(?:{_KINDS})[\s\-_]+)*(?:{_THINGS})(?:[\s\-_]+(?:{_THINGS}))*(?:[\s\-_]+(?:{_STATES}))?"
    rf"|no (?:{_THINGS})s?(?: (?:description )?(?:is )?(?:yet )?(?:available|found|uploaded|provided|set|yet))?"
    rf"|(?:no )?(?:photo |image )?(?:alt(?:ernative)? ?text|caption|description|title)"
    rf"(?: (?:not )?(?:available|provided|here))?"
    rf"|(?:please )?(?:click|tap|hover|press|roll ?over)(?: (?:{_ON_CLICK}))*"
    rf"|(?:view|see|show|open|enlarge|zoom|download|load|expand)(?: (?:{_VIEWED}))*"
    rf"|(?:image|photo|picture) (?:courtesy|credits?|source|by|via|from|of|for|results?(?: for)?)"
    rf"|(?:image|photo|picture|photograph)s?:? (?:by|courtesy(?: of)?|credits?:?|source:?|©|via)"
    rf" (?!(?:the|an?|my|our)\b)(?:[\w.&'’/-]+ ?){{1,4}}"
    rf"|loading(?: (?:{_THINGS}|please wait|content|more))?|{_PAGE_PARTS}|{_NO_TEXT}",
    re.IGNORECASE,
)
_TRIMMED = " \t\n\"'“”‘’[](){}<>*-–—_.,:;!?…|/#"
_MAY_BE_FORM = r"(?i)\d|\.[a-z]{2,4}[0-9]?\b|^.{1,90}$"


def text_forms(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Returns the `Form` of each text, "" for words about something: string[n]. Null is an empty text."""
    texts = pc.fill_null(one_array(texts), "")
    forms = np.full(len(texts), "", dtype=object)
    short = pc.and_(pc.less_equal(pc.utf8_length(texts), MAX_CHARS), pc.match_substring_regex(texts, _MAY_BE_FORM))
    places = np.flatnonzero(np.asarray(short))
    for place, text in zip(places.tolist(), texts.take(pa.array(places)).to_pylist(), strict=True):
        forms[place] = text_form(text)
    return pa.array(forms, pa.string())


def text_form(text: str) -> str:
    """Returns the `Form` of one text, or "" for words about something."""
    bare = " ".join(text.split()).strip(_TRIMMED)
    if not bare or len(text) > MAX_CHARS:
        return ""
    if any(map(str.isdigit, bare)):
        if is_date(bare):
            return str(Form.DATE)
        if not any(map(str.isalpha, bare)):
            return str(Form.NUMBER)
    if _is_file_name(bare):
        return str(Form.FILE_NAME)
    return str(Form.PLACEHOLDER) if _PLACEHOLDER.fullmatch(bare) else ""


def _is_file_name(text: str) -> bool:
    """Returns whether a text is the name of a file, or several of them."""
    if _CAMERA_NAME.fullmatch(text) or _NUMBERED_FILE.fullmatch(text):
        return True
    return all(_NAME.fullmatch(token) or _CAMERA_NAME.fullmatch(token) for token in _BETWEEN_NAMES.split(text))


def is_date(text: str) -> bool:
    """Returns whether a text is nothing but a date or a time: digits, names of months and days, and what joins them."""
    words = _DATE_TOKEN.findall(text.lower())
    names = [word for word in words if not word.isdigit()]
    if any(name not in _DATE_WORDS for name in names):
        return False
    if _NUMERIC_DATE.search(text):
        return True
    return any(name in _NAMES_OF_DATES for name in names) and len(names) < len(words)
