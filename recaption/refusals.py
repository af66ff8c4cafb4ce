"""Models that say that they can't, instead of what they see; that no image has come; or what they are.

A caption speaks of the picture, in the third person. So a refusal is told by what it means, not by its wording: the
speaker (I, we, my guidelines, as an AI) who can't, won't or may not; an image that is missing or broken; a request to
send it again. The languages are those that can be requested (`corpus.text.language.LANGUAGES`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from corpus.text.sentences import sentences, without_quotations
from recaption.speech import denies, has_first_person, misses_picture, speaks_of_rules, tells_of_failure

_PICTURE = r"(?:image|picture|photo|photograph|screenshot|attachment|upload|file|video|frames?|pic)s?\b"
_CANNOT = (
    r"(?:can\s?not|can't|could\s+not|couldn't|do\s+not|don't|did\s+not|didn't|won't|will\s+not|would\s+not|wouldn't|must\s+not"
    r"|may\s+not|am\s+not|'m\s+not|are\s+not|aren't|'re\s+not|am\s+unable|'m\s+unable|are\s+unable|'re\s+unable"
    r"|(?:must|will|'ll|have\s+to|need\s+to|would|'d)\s+(?:\w+\s+)?(?:decline|refuse|refrain|pass\s+on)|refuse|decline"
    r"|(?:'d|would)\s+(?:rather|prefer)\s+(?:not|to\s+not)|prefer\s+not|lack\s+the|have\s+no\s+(?:\w+\s+)?(?:way|access"
    r"|ability|means|eyes)|am\s+only\s+able|can\s+only\s+(?:process|read|handle|work))"
)
_I_CANNOT = rf"\b(?:i|we)(?:\s+(?:\w+\s+){{0,2}}?|(?=')){_CANNOT}\b"
_ABOUT = (
    r"\b(?:see|view|access|open|describ\w+|identif\w+|assist\w*|help\w*|provid\w+|compl(?:y|ies)|process\w*|analy[sz]\w+|display"
    r"|load|determine|read|fulfil\w*|comment\w*|discuss\w*|talk|generat\w+|creat\w+|answer\w*|continue|guess|tell|say|speak"
    rf"|requests?|content|captions?|descriptions?|this|that|{_PICTURE})"
)
_OPENING = (
    r"^\W*(?:(?:oh|hi|hello|well|so|but|and|however|unfortunately|regrettably|sadly|sorry|apologies|at\s+this\s+time"
    r"|for\s+\w+\s+reasons?|because\s+of\s+(?:this|that))\W+)*"
)
# Of any sentence at the beginning.
_ENGLISH = re.compile(
    rf"""{_OPENING}{_I_CANNOT}
    | {_I_CANNOT}[^.!?]*{_ABOUT}
    | {_OPENING}(?:i|we)(?:'m|\s+am|'re|\s+are)\s+(?:so\s+|very\s+|really\s+|truly\s+)?(?:sorry|afraid)\b\W+
      (?:but|that|i|we|this|there|the)\b
    | \bmy\s+(?:\w+\s+){{0,2}}(?:guidelines?|rules|polic(?:y|ies)|programming|instructions|principles
          |capabilit(?:y|ies)|training)\b
    | \b(?:our|my)\s+(?:\w+\s+){{0,2}}(?:polic(?:y|ies)|guidelines|terms)\b
    | \b(?:due\s+to|because\s+of|under|violat\w+|against|breach\w*)\s+(?:the\s+|our\s+)?
      (?:content|usage|safety|community|use)\s+(?:polic(?:y|ies)|guidelines)\b
    | {_OPENING}(?:this|your|that|the)\s+request\b
    | \b(?:as|being|(?:i|we)(?:'m|\s+am|'re|\s+are))\s+(?:just\s+|only\s+|merely\s+)?an?\s+(?:ai
          |artificial\s+intelligence
        |(?:\w+[-\s])?language\s+model|(?:text|ai|virtual|digital|language)[-\s](?:based\s+
          |only\s+)?(?:assistant|model|ai))\b
    | \b(?:please|kindly|(?:could|can|would|will)\s+you|(?:need|ask|like)\s+you\s+to)\s+(?:please\s+|kindly\s+
          |try\s+to\s+)?
      (?:re-?)?(?:upload|shar|send|attach|provid|submit|resend|try|check)(?:e|ing)?\b[^.]*\b(?:it|again|{_PICTURE})
    | ^\W*(?:error\W+)?(?:the\s+)?{_PICTURE}\s+(?:not\s+(?:found|available|loaded|provided)|unavailable|missing)\W*$
    | ^\W*(?:due\s+to|for|because\s+of|given)\s+(?:\w+\s+)?(?:safety|privacy|policy|legal|ethical|copyright)\s+
      (?:concerns?|reasons?|restrictions?|considerations?)\b
    | ^\W*without\s+(?:\w+\s+){{0,3}}{_PICTURE}
    | \bneed\s+you\s+to\s+(?:re-?)?(?:upload|share|send|attach|provide)
    | \b(?:there\s+(?:is|was|seems\s+to\s+be|appears\s+to\s+be)|i\s+(?:see|find|received|got))\s+no\s+{_PICTURE}\s+
      (?:in|with|here|attached|provided|uploaded|to|that)\b
    | {_OPENING}(?:there\s+(?:is|was)\s+)?no\s+{_PICTURE}\s+
      (?:is|was|were|has|have|came|arrived|to|provided|attached|uploaded|here|in\s+your)\b
    | \bnothing\s+(?:\w+\s+){{0,3}}(?:uploaded|attached|sent|provided|shared)\b
    | \byou(?:'ve|\s+have)?\s*(?:n't|haven't|have\s+not|not|never|didn't|did\s+not|forgot)\s+(?:to\s+)?
      (?:sen[dt]|shared?|upload(?:ed)?|provided?|attach(?:ed)?|includ(?:ed?)?|add(?:ed)?)\b
    | {_OPENING}it\s+(?:seems|looks|appears)\s+(?:like\s+|that\s+)?
      (?:there\s+(?:is|was)\s+no|no\s+{_PICTURE}|you\s+(?:have\s+not|haven't|did\s+not|didn't|forgot)
        |(?:the|your)\s+{_PICTURE}\s+(?:is|was|did|has)(?:\s+not|n't|\s+missing))
    | {_OPENING}(?:the|your|this)\s+(?:\w+\s+)?{_PICTURE}\s+(?:that\s+)?(?:you\s+)?(?:have\s+)?(?:\w+\s+)?
      (?:(?:seems|appears)\s+to\s+(?:be|have\s+been)|is|was)\s+(?:completely\s+|either\s+)?
      (?:blank|empty|missing|corrupt\w*|broken|unavailable|inaccessible|unreadable)\s*
      (?:[.,;!?]|$|so\b|and\s+(?:i|could|would)\b|or\b)
    | {_OPENING}(?:the|your|this)\s+(?:\w+\s+)?{_PICTURE}\s+(?:that\s+)?(?:you\s+)?(?:have\s+)?(?:\w+\s+)?
      (?:(?:is|was|did|does|has|could|can|would)\s*(?:not|n't)|can\s?not|failed\s+to)\s+(?:been\s+|be\s+)?
      (?:load\w*|open\w*|attach\w*|display\w*|available|visible|accessible|view\w*|process\w*|access\w*|upload\w*
          |arrive\w*)\b
    | \b(?:error|problem|something\s+went\s+wrong)\b[^.]*\b(?:loading|opening|processing|displaying
        |with)\s+your\s+{_PICTURE}
    | {_OPENING}(?:it\s+(?:would|is|'s)\s*(?:not|n't)\s+(?:be\s+)?appropriate\b|(?:this|that|it)(?:'s
          |\s+is)\s+something\s+i)
    | \b(?:content|safety|moderation)\s+(?:filter|system|layer|check|polic(?:y|ies)|guidelines?|rules)\b
    | ^\W*(?:describing|identifying|captioning|analy[sz]ing|generating|depicting|responding|answering|commenting
        |complying)\b
      [^.]*(?:\bnot\b|n't\b|\bagainst\b|\bviolat|\bbeyond\b|\boutside\b|\boff\b|\bprohibited\b|\bimpossible\b)
    | \bno\s+(?:captions?|descriptions?)\b | \b(?:can\s?not|can't|could\s+not|couldn't|may\s+not|must\s+not
        |will\s+not|won't)\s+be\s+
      (?:shown|described|displayed|captioned|processed|provided|generated|decoded|retrieved|fetched|analy[sz]ed
          |loaded|downloaded|rendered|interpreted)\b
    | ^\W*(?:nope|would\s+need|can(?:no|')t|won't|unable|not\s+able|afraid|out\s+of\s+respect|content\s+warning
        |without\s+access|there(?:'s|\s+is)\s+no\s+way
        |identifying|sadly|regrettably|unfortunately)\b[^.]*\b(?:see|not|no|n't|cannot|can't|tell|unable|image
            |picture|photo|content|describ\w+)
    | (?<![-\w])(?:sensitive|explicit|inappropriate|restricted|prohibited|disallowed|unsafe|harmful)\s+(?:content
        |material|imagery|category|subject)\b
    | \b(?:media|file|input|image)\s+(?:type|format|data|input)?\s*(?:is\s+|was\s+)?(?:not|un)\s?-?(?:supported
        |recogni[sz]ed|readable|available)
    | \b(?:error|exception|status|code)\s*[:#]?\s*[45]\d\d\b | \btext(?:-|\s+)only\b(?!\s+(?:where|when|if))
    | ^\W*(?:it(?:'s|\s+is)|that(?:'s|\s+is))\s+(?:against|beyond|outside|restricted|forbidden|prohibited
        |off\s+limits)\b
    | \b(?:image|picture|photo|media|video|content)\s+(?:is|was|has\s+been|remains)\s+(?:restricted|withheld
        |blocked|private|undescribed|unavailable|removed|censored)\b
    | \b(?:safety|privacy)\s+settings\b | \btechnical\s+(?:limitations?|difficult\w+|issues?|error|problems?)\b
    | \b(?:vision|image|visual|media|multimodal)\s+(?:input|support|capabilit\w+|processing|recognition
        |analysis)\b[^.]*(?:\bnot\b|n't\b|\bdisabled\b|\bunavailable\b|\bfailed\b|\boff\b)
    | ^\W*(?:try|retry)\s+(?:again|another)\b | \bnot\s+able\s+to\s+(?:comply|help|assist|describe|proceed|continue)\b
    | ^\W*(?:declined|refused|rejected|blocked|withheld|denied|redacted|omitted)\b(?:\W*$|\s+(?:for|due|because
        |by|on)\b)
    | \bshould\s+not\s+be\s+(?:depicted|described|shared|disclosed|shown)\b
        | \bno\s+(?:further\s+)?details\s+(?:here|can|will)\b
    | \bnothing\s+(?:more|else|further)\s+(?:can|could|will)\b | \btemporarily\s+unavailable\b | \b(?:outside
        |beyond|within)\s+(?:the|my|our|its)\s+scope\b
    | \baccess\b[^.]*\b(?:denied|forbidden|refused)\b | \breturned\s+an?\s+(?:[45]\d\d|error)\b | ^\W*regretfully\b
    | \b(?:answer|response|caption|description|output)\s+(?:has\s+been|was|is)\s+(?:suppressed|withheld|removed
        |blocked|filtered|redacted)\b
    | ^\W*it\s+would\s+be\s+(?:un\w+|wrong|improper|in\w+|ir\w+|im\w+)\b | \bought\s+to\s+(?:stay|remain)\s+private\b
    | ^\W*(?:it(?:'s|\s+is)(?:n't|\s+not)|not)\s+possible\b
    | ^\W*(?:{_PICTURE}|(?:the|this|your|its)\s+(?:{_PICTURE}|resolution
        |quality))\s+[^.]{{0,40}}?\btoo\s+\w+\s+(?:for\s+\w+\s+)?to\b
    | {_OPENING}(?:unable\s+to|can\s?not|can't)\s+(?:see|view|access|open|describe|identify|assist|help|process
          |display|load|read)\b""",
    re.VERBOSE | re.IGNORECASE,
)
# Of the first sentence alone: "I'm sorry" may be printed on a mug, too.
_ENGLISH_FIRST = re.compile(
    r"""^\W*(?:(?:oh|hi|hello|well|unfortunately|regrettably)\W+)?(?:
        (?:i'?m|i\s+am|we're|we\s+are)\s+(?:so\s+|very\s+|really\s+|truly\s+)?(?:sorry|afraid)\b
      | (?:so\s+)?sorry\b\W+(?:but\s+(?:i|we|this|that|the|there)|i|something|there)\b
      | (?:i|we)\s+(?:sincerely\s+|do\s+)?(?:apologi[sz]e|regret)
      | (?:my\s+)?(?:sincere\s+)?apologies\b)""",
    re.VERBOSE | re.IGNORECASE,
)

_PHRASES = Path(__file__).parent / "phrases" / "refusals.yaml"
_LOOKED_AT = 3  # sentences at the beginning
_BARE = str.maketrans(dict.fromkeys('.,;:!?()[]"“”„«»…', " "))


@dataclass(frozen=True, slots=True)
class _Phrases:
    """A language's refusals; `cues` are words of which each has one, none: unknown."""

    pattern: re.Pattern[str]
    cues: frozenset[str]


@lru_cache(maxsize=1)
def _other_languages() -> tuple[_Phrases, ...]:
    listed = yaml.safe_load(_PHRASES.read_text(encoding="utf-8"))
    return tuple(
        _Phrases(re.compile("|".join(entry["patterns"]), re.IGNORECASE), frozenset(entry.get("cues", "").split()))
        for entry in listed.values()
    )


def is_refusal(text: str, language: str = "en") -> bool:
    """Whether a text of one line begins with a refusal, or says that no image has come.

    What the text quotes is lettering in the picture, and doesn't count. `language`: that captions are in, "" for any.
    """
    plain = without_quotations(text[:1500]).replace("’", "'").strip()
    beginning = sentences(plain)[:_LOOKED_AT]
    if not beginning:
        return False
    said = frozenset(" ".join(beginning).lower().translate(_BARE).split())
    if _ENGLISH_FIRST.search(beginning[0]) or any(map(_ENGLISH.search, beginning)):
        return True
    for sentence in beginning:
        if any(says(sentence, language) for says in (misses_picture, speaks_of_rules, tells_of_failure)):
            return True
        if has_first_person(sentence, language) and denies(sentence, language):
            return True
    for phrases in _other_languages():
        possible = not said.isdisjoint(phrases.cues) if phrases.cues else not text.isascii()
        if possible and any(map(phrases.pattern.search, beginning)):
            return True
    return False
