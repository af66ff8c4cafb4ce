"""Words that tell nothing of what a text is about, in a few languages: articles, pronouns, prepositions."""

from __future__ import annotations

from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

_BY_LANGUAGE = {
    "en": "a about above across after again against all along also although am among an and another any are around as "
    "at away back be because been before behind being below beneath beside besides between beyond both but by can "
    "could did do does doing done down during each either else etc even ever every few first for from front "
    "further get gets go goes going had has have having he her here hers him his how i if in inside into is it "
    "its it's itself just left less like made make many may me might more most much must my near next no nor not "
    "now of off on once one onto only or other others our out outside over own per right same seen several shall "
    "she should show shown showing shows side so some such than that the their them then there these they this "
    "those three through till to together too toward towards two under until up upon us use used using very via "
    "was we well were what when where which while who whom whose why will with within without would you your",
    "de": "aber als am an auch auf aus bei beim bin bis das dass dem den der des die dies diese dieser dieses durch "
    "ein "
    "eine einem einen einer eines er es für gegen hat hinter ich ihr im in ist mit nach neben nicht noch nur oder "
    "ohne sein seine sich sie sind über um und unter vom von vor war was wie wir wird zu zum zur zwischen",
    "fr": "à au aux avec ce ces cette dans de des du elle en entre est et il ils je la le les leur lui mais même ne "
    "nos "
    "notre nous on ou où par pas pour qu que qui sa sans se ses son sont sous sur te un une vers vos votre vous",
    "es": "al algo ante como con contra cual cuando de del desde donde e el ella ellos en entre era es esa ese esta "
    "este esto están está fue ha hasta hay la las lo los más mi muy ni no nos o para pero por que qué se sin "
    "sobre su sus también te tu un una unas uno unos y ya",
    "it": "ai al alla alle anche che chi come con cui da dal dalla degli dei del della delle di e è ed gli ha i il in "
    "la le lo ma mi ne nei nel nella non o per più se si sono su sul sulla tra un una uno",
    "pt": "à ao aos as até com como da das de dele do dos e ela ele em entre era essa esse esta este eu foi há isso já "
    "mais mas me na nas no nos não o os ou para pela pelo por que se sem ser seu sua são também tem um uma",
    "nl": "aan als bij dat de deze die dit door een en er haar heeft het hij hun ik in is je kan maar met mijn na naar "
    "niet nog nu of om onder ook op over te tot uit van voor was wat werd wij wordt ze zich zijn zo",
}
STOP_WORDS = frozenset(word for words in _BY_LANGUAGE.values() for word in words.split())


@lru_cache(maxsize=1)
def _column() -> pa.Array:
    return pa.array(sorted(STOP_WORDS), pa.string())


def is_stop_word(words: pa.Array) -> pa.Array:
    """Returns whether each word, in lower case, is a stop word of one of these languages: bool[n]."""
    return pc.is_in(words, value_set=_column())
