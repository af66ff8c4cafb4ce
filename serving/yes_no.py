"""The probability of Yes against No, from the log-probabilities of an answer's first token."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from serving.request import ModelResponse, VectorResponse

NO_ANSWER = "no_answer"  # the error of a response: the first token is neither a Yes nor a No
YES, NO = "yes", "no"
# As tokenizers have them, at the beginning of a text or after a space.
SPELLINGS = tuple(space + form(word) for word in (YES, NO) for space in ("", " ") for form in (str.title, str.lower))


def answer_of(token: str) -> str:
    """Returns YES or NO for a token that spells it, whatever the case and the spaces; "" for any other."""
    word = token.strip().lower()
    return word if word in (YES, NO) else ""


def yes_response(answers: Iterable[tuple[str, float]], prompt_tokens: int = 0) -> VectorResponse:
    """Returns the response to a `YesNoRequest`, from pairs of YES or NO and the log-probability of one spelling of it.

    The probability of an answer is the sum over its spellings. The error is `no_answer` where neither has any.
    """
    total = {YES: 0.0, NO: 0.0}
    for answer, logprob in answers:
        if answer and not math.isnan(logprob):
            total[answer] += math.exp(min(0.0, logprob))
    both = total[YES] + total[NO]
    if both <= 0:
        return ModelResponse(error=NO_ANSWER, detail="neither Yes nor No is among the likely first tokens")
    return ModelResponse(np.array([total[YES] / both], np.float32), prompt_tokens=prompt_tokens)
