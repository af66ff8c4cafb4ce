"""Models that say that they can't, instead of what they see."""

from __future__ import annotations

import re

from corpus.text.sentences import sentences, without_quotations

_PICTURE = r"(?:image|picture|photo|photograph|screenshot|attachment|file|video|frames?)s?\b"
_CANNOT = r"(?:can\s?not|can't|could\s+not|couldn't|do\s+not|don't|won't|am\s+(?:unable|not\s+able)\s+to)"
_I_CANNOT = rf"(?:i\s+{_CANNOT}|i'm\s+(?:unable|not\s+able|not\s+comfortable)(?:\s+to)?)\s+(?:\w+\s+){{0,2}}?"
_DO = (
    r"(?:see|view|access|open|describe|identify|assist|help|provide|comply|process|analy[sz]e|display|load|determine"
    r"|read)"
)

_REFUSAL = re.compile(
    rf"""^\W*(?:(?:oh|hi|hello|well|unfortunately|regrettably)\W+)?(?:
        (?:i'?m|i\s+am|we're|we\s+are)\s+(?:so\s+|very\s+|really\s+|truly\s+)?(?:sorry|afraid)\b
      | (?:so\s+)?sorry\b\W+(?:but\s+(?:i|we|this|that|the)\b|{_I_CANNOT})
      | (?:i|we)\s+(?:sincerely\s+|do\s+)?apologi[sz]e
      | (?:my\s+)?(?:sincere\s+)?apologies\b
      | i'?m\s+(?:just\s+|only\s+)?an?\s+(?:ai|(?:large\s+)?language\s+model)\b
      | please\s+(?:provide|upload|share|attach|send)\b[^.]*\b{_PICTURE}
      | (?:there\s+(?:is|was)\s+)?no\s+{_PICTURE}\s+
        (?:is|was|were|has|have|to|provided|attached|uploaded|here|in\s+your)\b
      | it\s+(?:seems|looks|appears)\s+(?:like\s+|that\s+)?
        (?:there\s+(?:is|was)\s+no|no\s+{_PICTURE}|you\s+(?:have\s+not|haven't|did\s+not|didn't|forgot)
          |(?:the|your)\s+{_PICTURE}\s+(?:is|was|did|has)(?:\s+not|n't|\s+missing))
      | the\s+(?:provided\s+)?{_PICTURE}\s+(?:could\s+not|couldn't|can\s?not|can't)\s+be\s+
        (?:loaded|displayed|opened|viewed)
      | {_I_CANNOT}{_DO}\b
      )
    | \bas\s+an?\s+(?:ai|artificial\s+intelligence|(?:large\s+)?language\s+model)\b
    | [,;]\s+(?:but\s+)?{_I_CANNOT}{_DO}\b
    | \b(?:{_I_CANNOT}|unable\s+to\s+|can\s?not\s+|can't\s+){_DO}\s+
      (?:(?:the|this|that|your|any|an?)\s+)?(?:\w+\s+)?(?<!\bof\s){_PICTURE}""",
    re.VERBOSE | re.IGNORECASE,
)


def is_refusal(text: str) -> bool:
    """Whether the first sentence of a text of one line refuses, or says that no image has come.

    What the text quotes is lettering in the picture, and doesn't count.
    """
    plain = without_quotations(text[:1000]).replace("’", "'")
    first = sentences(plain)[:1]
    return bool(first and _REFUSAL.search(first[0]))
