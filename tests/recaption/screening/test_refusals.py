from __future__ import annotations

from recaption.screening.refusals import is_refusal
from tests.helpers.cases import cases


@cases(
    "text",
    [
        "I'm sorry, but I can't assist with that request.",
        "I’m sorry. I can’t identify people in photos.",
        "I am very sorry, this picture shows nothing that I can describe.",
        "Sorry, but I am not able to describe this.",
        "Sorry, I can't see anything.",
        "I apologize, but I cannot provide a description.",
        "My apologies, the picture did not load.",
        "As an AI language model, I do not have eyes.",
        "Well, as an AI I can only guess at pictures.",
        "I'm just an AI and have no access to pictures.",
        "I cannot see the image.",
        "I can't view the attached photo, so please describe it.",
        "I am unable to view or analyze images directly.",
        "I'm not able to open this file.",
        "I do not see any image in your message.",
        "I don't identify real people from their faces.",
        "Unfortunately, I cannot determine what this is.",
        "Unable to view the image.",
        "Based on the picture alone, I cannot identify the man in it.",
        "There is no image attached to your message.",
        "No image was provided.",
        "It seems that the image did not load. Could you send it again?",
        "It looks like you forgot to attach a picture.",
        "The image could not be loaded.",
        "Please upload the image that you want me to describe.",
    ],
)
def test_refusals(text: str) -> None:
    assert is_refusal(text)


@cases(
    "text",
    [
        'A sign reads "Sorry, we are closed" behind a glass door.',
        "'I can't see the image' is written on a blackboard.",
        "“I'm sorry, I cannot help you”, says a robot in a comic.",
        "Sorry, we are closed sign hanging on a glass door.",
        "A man who is unable to see the stage stands on tiptoe.",
        "A blind woman with a white cane, unable to see the car, waits at a crossing.",
        "A woman who cannot open a jar hands it to a boy.",
        "It looks like a castle, but it is made of sand.",
        "No people are in the street. A dog lies in front of a shop.",
        "Please-touch exhibit with a picture of a whale.",
        "A dog sleeps on a rug. I'm sorry is printed on the mug beside it.",
        "A drum coated with a light-sensitive material turns in a copier.",
        "A letter of apology on a desk, with a pen on top.",
        "As an airliner passes, a man looks up.",
        "A framed picture that nobody can see hangs behind a curtain.",
        "There is no car in the street; a child plays with a ball.",
        "",
    ],
)
def test_captions_that_are_none(text: str) -> None:
    assert not is_refusal(text)
