"""Models that talk to the user before or after a caption, speak of their own text, or think aloud.

A caption speaks of the picture and of nothing else: no sentence of it is about the reader's wishes, about the
description itself, or about what the writer is going to do.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import yaml

from corpus.text.sentences import sentences, without_quotations
from recaption.speech import (
    has_first_person,
    has_second_person,
    is_courtesy,
    is_question,
    presents_text,
    speaks_of_task,
)

_TEXT = r"(?:descriptions?|captions?|summar(?:y|ies)|answers?|responses?|versions?|alt[- ]text)"
_MEDIA = r"(?:image|picture|photo|photograph|video|screenshot|frames?|file)s?"

# Sentences to the user, or about the text: in the languages that can be requested.
_TALK = re.compile(
    rf"""^\W*(?:
        (?:please\s+)?(?:let\s+me\s+know|tell\s+me|feel\s+free|don't\s+hesitate|do\s+not\s+hesitate)\b
      | (?:i\s+)?(?:sincerely\s+)?hope\s+(?:this|that|it|you|my|the\s+{_TEXT})\b
      | (?:would|do|did|should|shall|can|could|may)\s+(?:you|i)\b[^.!]*\?
      | (?:is|was)\s+(?:there\s+anything|this|that)\b[^.!]*\?
      | if\s+(?:you(?:'d|'re|\s+would|\s+want|\s+need|\s+have|\s+prefer|\s+wish|\s+like|\s+are\s+interested|\s+could)
          |(?:this|that)\s+(?:is|was|does))\b
      | (?:please\s+)?note\s*(?::|that\b)|please\s+(?:note|keep|bear)\b|disclaimer\s*:|p\.?\s?s\.?\s*:
      | (?:thanks|thank\s+you)(?:\s+(?:for|so|again|very)\b|\W*$)|you're\s+welcome|have\s+a\s+(?:great|nice|good)
      | (?:got\s+it|great\s+question|good\s+question|sure(?:\s+thing)?|certainly|absolutely|of\s+course
          |no\s+problem)\s*[,.!]
      | what\s+an?\s+(?:\w+\s+){{0,2}}(?:{_MEDIA}|scene|shot|question)\b
      | i(?:'d|\s+would|'ll|\s+will|'m|\s+am)\s+(?:be\s+)?(?:happy|glad|pleased|delighted|love)\b
      | (?:happy|glad)\s+to\b
      | i\s+(?:can|could|will|may|might)\s+(?:also\s+)?(?:write|make|give|provide|add|adjust|shorten|translate
          |help|describe|offer|rewrite)\b
      | i\s+(?:have|'ve)\s+(?:\w+\s+)?(?:kept|written|described|avoided|tried|included|followed|made|provided
          |focus\w+)\b
      | i've\s+(?:\w+\s+)?(?:kept|written|described|avoided|tried|included|followed|made|provided|focus\w+)\b
      | (?:\(|\[)?\s*(?:approx\w*\.?\s+)?(?:word|character|token|sentence)s?\s+count\b
      | \(\s*(?:about\s+|approx\w*\.?\s+|~\s*)?\d+\s+(?:words|characters|tokens|sentences)\s*\)
      | (?:this|my)\s+(?:above\s+)?{_TEXT}\s+(?:above\s+)?(?:is|was|provides|contains|should|does|only|includes|has|uses
          |mentions|covers|reflects)\b
      | (?:this|my|the)\s+(?:above\s+)?{_TEXT}\s+(?:above\s+)?(?:rests|relies|follows|avoids|captures|meets|stays|sticks
          |aims|focus\w+|adheres|complies)\b
      | the\s+above\b[^.!]*\b{_TEXT}
      | nothing\s+in\s+(?:this|the|my)\s+{_TEXT}
      | (?:no|any|this|my)\s+(?:\w+\s+){{0,2}}{_TEXT}\s+(?:can|could|would|will|is|was|has|available|ends|provided)\b
      | (?:end\s+of\s+)?{_TEXT}\s+(?:ends?|complete|finished|follows|above|below)\b\W*(?:here\b)?
      | this\s+is\s+an?\s+(?:\w+[\s-]){{0,3}}{_TEXT}\b
      | (?:just\s+say|anything\s+else|good\s+luck|enjoy|happy\s+to|here\s+(?:you\s+go|it\s+is|goes))\b
      | (?:great|nice|wow|excellent|perfect|understood|noted|very\s+well|here)\s*[!:]
      | (?:great|nice|good|excellent)\s+(?:choice|picture|photo|image|shot|question)\b
      | best\s+wishes|(?:rate|review)\s+(?:this|my|the)\b|right\s+away|okie|here(?:'s|\s+is)\s+what\b
          |(?:description|caption|text|as)\s+(?:as\s+)?ordered\b
      | this\s+(?:text|caption|description|message|output)\s+(?:was|has\s+been|is)\b|keep\s+(?:up|in\s+mind)
          |don't\s+forget|always\s+(?:happy|glad)|to\s+be\s+continued|more\s+(?:details|information)\s+(?:is|are
          |on|can|available)
      | what\s+follows|without\s+further|good\s+(?:one|job|pick)\b|consider\s+(?:this|the\s+following)\b
          |written\s+(?:with|by|for|in)\b
      | (?:the|this|that)\s+(?:above\s+)?{_TEXT}\s+(?:is|was|has|have|uses|covers|contains|counts|runs|comes
          |should|stays|mentions|may|can|will)\b(?!\s+(?:set|printed|engraved|under|above|below|at|on))
      | (?:auto(?:matically)?[- ]?|ai[- ]|machine[- ])?generated\s+(?:automatically|by|with|using|caption)|(?:may
          |might)\s+contain\s+(?:mistakes|errors|inaccuracies)
      | (?:over\s+to\s+you|that(?:'s|\s+is)\s+(?:all|it)\b|done\b\W*$|say\s+the\s+word|(?:below|above)\s+is
          |need\s+(?:it|a|any|more)\b)
      | (?:\w+\s+){{0,3}}my\s+(?:take|best|attempt|thoughts|version|suggestion|pleasure|go)\b|source\s*:
      | total\s*:\s*\d+\s+(?:words|characters|tokens)
      | step\s+\d+\s*:|looking\s+at\s+(?:the|this)\s+{_MEDIA}\s*,
      | (?:here|that)(?:'s|\s+is|\s+are)\s+(?:my|your|the|an?)\s+(?:\w+\s+){{0,2}}{_TEXT}\b(?!\s+(?:board
          |of\s+the\s+exhibit))
      )
    | \b(?:{_MEDIA}|link|page)\s+(?:that\s+)?you(?:'ve|\s+have)?\s+(?:just\s+)?(?:sent|shared|uploaded|provided
          |attached|posted|gave|given|submitted)\b
    | \byou(?:'ve|\s+have)?\s+(?:asked|requested|instructed|specified)\b|\bas\s+(?:you\s+)?(?:requested|instructed)\b
    | \b(?:(?:once|after|when|if|unless|until)\s+you
          |you(?:'ll|\s+(?:will|need|have|must|can|could|should|may))(?:\s+to)?)\s+
      (?:\w+\s+){{0,2}}?(?:upload|send|share|attach|provide|re-?send|paste)\b
    | ^\W*if\s+(?:anything|something)\b|\bjust\s+(?:ask|let)\b
    | \byour\s+(?:request|prompt|message|question|instructions?|upload(?:ed)?)\b""",
    re.VERBOSE | re.IGNORECASE,
)
_VERBS = (
    r"(?:describe|look|see|start|begin|think|check|mention|write|make|include|focus|note|consider|count|identify|break|go|be"
    r"|analy[sz]e|examine|figure|re-?read|re-?check|verify|craft|create|produce|generate|avoid|keep|use|say|ensure|put|try"
    r"|provide|cover|list)"
)
_THOUGHT = re.compile(
    rf"""\bthe\s+(?:user|human|prompt|task|instructions?)\s+(?:is\s+)?
      (?:ask\w*|want\w*|said|says?|need\w*|request\w*|would|is\s+to|provided|sent)\b
    | ^\W*(?:(?:okay|ok|alright|right|so|now|well|first(?:ly)?|next|then|finally|got\s+it|hm+|wait|also|but|and)\W+)*
      (?:let's|let\s+me|let\s+us)\s+(?:\w+\s+)?{_VERBS}\b
    | \b(?:i|we)\s+(?:\w+\s+)?(?:need|have|want|ought|am\s+going|'m\s+going|are\s+going|plan|aim)\s+to\s+
      (?:\w+\s+)?{_VERBS}\b
    | \b(?:i|we)\s+(?:should|must|will|could|might|shall)\s+(?:also\s+|now\s+|first\s+|not\s+|probably\s+)?{_VERBS}\b
    | \bi'll\s+(?:also\s+|now\s+|first\s+)?{_VERBS}\b
    | \b(?:i'm|i\s+am)\s+(?:now\s+)?(?:looking|thinking|going\s+to|trying\s+to|checking|supposed|asked)\b
    | ^\W*(?:wait|hmm+|hm|okay|alright|actually)\s*(?:,|\.\.\.|…|—|-)\s*
    | \bi\s+(?:think|believe|guess|see|notice)\b[^.]*\b(?:is|it|are|that|there)\b
    | ^\W*(?:(?:final|first|second|key|main|my|quick|rough|self|revised)[\s-]+)?(?:thinking|thoughts?|reasoning
        |analysis|chain\s+of\s+thought
        |answer|draft|plan|outline|approach|steps?|observations?|elements|goal|check|notes?|attempt|version
            |impressions?|task
        |requirements?|constraints?|considerations?|strategy|focus|result|output|caption\s+idea|structure
            |subject\s+identified|format|reminder|summary|conclusion)\b(?:\s+\d+|\s+to\s+\w+)?\s*:
    | ^\W*(?:they|he|she)\s+(?:probably\s+)?(?:wants?|asks?|asked|needs?|requested|expects?|said|prefers?)\s+(?:\w+\s+)?
        (?:no|a|an|one|me|for|just|only|to\s+{_VERBS})\b
    | ^\W*(?:not\s+sure|unsure|no\s+need|need\s+to|must|should|gotta|got\s+to|have\s+to|time\s+to|going\s+with
        |double[\s-]check\w*
        |re-?check\w*|checking|scanning|counting|breaking|working\s+through|starting\s+with|step\s+by\s+step
            |make\s+sure|remember
        |aim(?:ing)?\s+for|best\s+to|better\s+to|now\s+(?:writing|for|to|the|let)|writing\s+(?:it|this|the)
            |skip(?:ping)?\s+the|ok(?:ay)?\s+so
        |it(?:'s|\s+is)\s+(?:important|best|better|crucial|essential|necessary)|since\s+(?:guess|the\s+(?:user
            |prompt|task|instructions?|request))
        |that\s+(?:reads|works|sounds|looks|covers|fits|should)|(?:the\s+)?length\s+is|a\s+\w+\s+(?:caption
            |description)\s+is|the\s+output
        |next\s+up|the\s+(?:main\s+)?question\s+is|better\s+not|it\s+(?:may|might|would)\s+be\s+(?:wise|better
            |best|good|safer)|that\s+makes|alrighty|re-?reading|reading\s+the|considering\s+(?:the|that)
            |in\s+terms\s+of|per\s+the|putting\s+(?:it|this)|therefore\b|hence\b|so\s+the
        |we\s+(?:are|have|need|must|should|were)|the\s+(?:word|sentence)\s+should
        |stick(?:ing)?\s+(?:to|with)|don't|do\s+not|avoid(?:ing)?|mention|ensure|keep\s+(?:it|this|the)
            |write\s+(?:a|one|the)
        |start\s+with|begin\s+with|include|perhaps\s+(?:it|they|the)|maybe\s+(?:it|they|the)|or\s+(?:is|are
            |maybe)\b|one\s+(?:has|needs|must|should)
        |to\s+(?:answer|describe|summari[sz]e|do)\s+this|the\s+(?:best|ideal|final)\s+(?:caption|description|answer))\b
    | ^\W*given\s+(?:the|these|those|that\s+the)\s+(?:\w+\s+)?(?:instructions?|constraints?|requirements?|prompt
        |task|rules)\b
    | \b(?:speculat\w+|guess(?:es|ing|work)?|wording|word\s+(?:limit|count|total|budget)|output\s+format
        |short\s+enough|long\s+enough\s+(?:for|to\s+(?:meet|satisfy))|so\s+(?:skip|leave|omit|mention|include)\b
        |markdown|plain\s+prose|alt[- ]text
        |what's\s+(?:needed|required)|is\s+(?:needed|required|wanted|requested)\s+here|(?:final|finished
            |concise)\s+(?:caption|description))\b
    | (?:^\W*|[,;:]\s*)(?:instruction|length|format|style|content|tone)-wise\b(?=\s*[,:])
    | \b(?:checking|let\s+me\s+check)\s+(?:once\s+more|again)\b""",
    re.VERBOSE | re.IGNORECASE,
)
_PHRASES = Path(__file__).parent / "phrases" / "talk.yaml"
_THOUGHTS = Path(__file__).parent / "phrases" / "thoughts.yaml"
_FIRST_SENTENCES, _LAST_SENTENCES = 2, 3
_MAX_SENTENCES = 60


@lru_cache(maxsize=1)
def _other_languages() -> re.Pattern[str]:
    listed = yaml.safe_load(_PHRASES.read_text(encoding="utf-8"))
    anywhere = listed.pop("anywhere")
    beginnings = "|".join(phrase for phrases in listed.values() for phrase in phrases)
    return re.compile("|".join([rf"^\W*(?:{beginnings})", *anywhere]), re.IGNORECASE)


@lru_cache(maxsize=1)
def _thoughts_in_other_languages() -> re.Pattern[str]:
    listed = yaml.safe_load(_THOUGHTS.read_text(encoding="utf-8"))
    return re.compile("|".join(phrase for phrases in listed.values() for phrase in phrases), re.IGNORECASE)


def is_talk(sentence: str, language: str = "en") -> bool:
    """Whether a sentence speaks to the user, or about the text that it is part of. `language`: "" for any."""
    plain = without_quotations(sentence).replace("’", "'").strip()
    if _TALK.search(plain) or _other_languages().search(plain):
        return True
    if is_question(plain) or is_courtesy(plain, language) or presents_text(plain, language):
        return True
    return has_first_person(plain, language) or has_second_person(plain, language)


def cut_talk(text: str, language: str = "en") -> str:
    """A text of one line without sentences at its beginning and end that speak to the user; "" if it is all talk."""
    parts = sentences(text)
    first, last = 0, len(parts)
    while first < min(last, _FIRST_SENTENCES) and is_talk(parts[first], language):
        first += 1
    while last > first and len(parts) - last < _LAST_SENTENCES and is_talk(parts[last - 1], language):
        last -= 1
    return text if (first, last) == (0, len(parts)) else " ".join(parts[first:last])


def thinks_aloud(text: str, language: str = "en") -> bool:
    """Whether a sentence of a text of one line says what the writer is about to do, or what was asked of it."""
    others = _thoughts_in_other_languages()
    return any(
        _THOUGHT.search(each) or others.search(each) or speaks_of_task(each, language)
        for each in _plain_sentences(text)
    )


def has_chatter(text: str, language: str = "en") -> bool:
    """Whether a sentence of a text of one line is no part of a caption: talk, thoughts, a question, a first person."""
    return thinks_aloud(text, language) or any(is_talk(each, language) for each in _plain_sentences(text))


def _plain_sentences(text: str) -> list[str]:
    return sentences(without_quotations(text).replace("’", "'"))[:_MAX_SENTENCES]
