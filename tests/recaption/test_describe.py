"""True sentences about planted pictures."""

import cv2
import numpy as np
import pytest

from recaption.describe import MODEL, Describe, describe
from recaption.models import MODELS
from recaption.requests import Answer, Captioner, Pixels, Request

RED, BLUE, GREEN, WHITE, BLACK = (220, 20, 20), (20, 20, 220), (30, 160, 40), (255, 255, 255), (0, 0, 0)


def filled(colour: tuple[int, ...], height: int = 200, width: int = 300) -> Pixels:
    return np.broadcast_to(np.array(colour, np.uint8), (height, width, 3)).copy()


def squares(side: int, size: int = 256) -> Pixels:
    board = np.indices((size, size)) // side
    return np.dstack([(board.sum(axis=0) % 2 * 255).astype(np.uint8)] * 3)


def halves(left: tuple[int, ...], right: tuple[int, ...]) -> Pixels:
    pixels = filled(left)
    pixels[:, 150:] = right
    return pixels


def ask(*images: Pixels, **options: str) -> Answer:
    captioner: Captioner = Describe()
    answer = captioner.submit(Request("Describe this picture.", images, **options)).result(timeout=0)
    captioner.close()
    return answer


def test_a_left_and_a_right_half() -> None:
    answer = ask(halves(RED, BLUE))
    assert answer.text == (
        "A vividly coloured, wide picture, calm and hard-edged, with most detail in the centre, lighter on the left. "
        "About half of it is red, on the left; about half of it is blue, on the right."
    )
    assert (answer.finish_reason, answer.prompt_tokens, answer.completion_tokens, answer.error) == ("stop", 0, 0, "")


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (filled((9, 9, 9)), ["very dark", "colourless", "plain", "without contrast", "All of it is black."]),
        (filled((60, 70, 66)), ["A dark,", "dark grey"]),
        (filled((250, 250, 250)), ["very bright", "All of it is white."]),
        (filled((128, 128, 128)), ["A colourless,", "All of it is grey."]),
        (filled(BLUE, 400, 200), ["upright picture"]),
        (filled(BLUE, 300, 100), ["very tall picture"]),
        (filled(BLUE, 200, 200), ["square picture"]),
        (filled(BLUE, 100, 300), ["very wide picture"]),
        (filled(BLUE, 10, 300), ["extremely wide picture"]),
        (
            squares(16),
            ["black-and-white", "very busy", "strong contrast", "half of it is black", "half of it is white"],
        ),
        (squares(2), ["finely textured"]),
        (squares(64), ["hard-edged"]),
        (np.hstack([squares(64), squares(64)[:, ::-1]]), ["the left side mirroring the right"]),
    ],
)
def test_words(pixels: Pixels, words: list[str]) -> None:
    text = describe(pixels)
    for word in words:
        assert word in text
    assert ("busy" in text) == any("busy" in word or "textured" in word for word in words)
    assert text.endswith(".")
    assert 1 <= text.count(". ") + 1 <= 2


def test_the_article_fits() -> None:
    assert describe(filled((120, 112, 140), 300, 200)).startswith("A muted, upright picture")
    assert describe(filled((200, 120, 90), 300, 200)).startswith("An upright picture")
    assert describe(*[filled((200, 120, 90), 300, 200)] * 2).startswith("The first of 2 frames is an upright picture")


def test_where_it_is_lighter_and_what_else_there_is() -> None:
    pixels = filled((20, 30, 90), 240, 240)
    pixels[:90] = (130, 200, 240)
    pixels[200:215, 20:220] = WHITE
    text = describe(pixels)
    assert "lighter at the top" in text
    assert "it is sky blue, at the top" in text
    assert "it is navy blue, at the bottom" in text
    assert "a little of it is white, at the bottom" in text


def test_a_muted_and_a_colourful_picture() -> None:
    hues = [RED, BLUE, GREEN, (250, 220, 40), (150, 40, 200), (255, 140, 0)]
    assert "colour" in describe(np.hstack([filled(hue, 120, 40) for hue in hues])).split(".")[0]
    assert "muted" in describe(halves((120, 112, 140), (140, 120, 112)))


def test_frames_are_compared() -> None:
    text = describe(filled(BLACK), halves(BLACK, RED), halves(WHITE, RED))
    assert text == (
        "The first of 3 frames is a very dark, colourless, wide picture without contrast, plain. "
        "In the middle, about half of the picture has changed: it is brighter, stronger in contrast and more "
        "colourful, with more red and less black. "
        "In the last, all of the picture has changed: it is brighter, stronger in contrast and more colourful, "
        "with more red and less black. "
        "From each frame to the next, about half of the picture changes."
    )
    still = ask(halves(RED, BLUE), halves(RED, BLUE)).text
    assert still.startswith("The first of 2 frames is a vividly coloured")
    assert still.endswith("Up to the last, hardly anything changes.")
    assert "in the last, about half" in describe(filled(RED), halves(RED, BLUE)).lower()


def moving(shift_x: int, shift_y: int, frames: int = 8) -> list[Pixels]:
    """A smooth picture, of which each frame shows another part."""
    noise = np.random.default_rng(0).integers(0, 256, (640, 960, 3)).astype(np.uint8)
    smooth = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 8), None, 0, 255, cv2.NORM_MINMAX)
    corners = [(200 + at * shift_y, 300 + at * shift_x) for at in range(-frames // 2, frames // 2)]
    return [np.ascontiguousarray(smooth[top : top + 200, left : left + 300]) for top, left in corners]


def test_a_clip_that_returns_to_its_beginning_is_not_called_still() -> None:
    first, other = halves(RED, BLUE), filled(WHITE)
    text = describe(first, first, other, first, first)
    assert "In the middle, all of the picture has changed: it is brighter" in text
    assert text.endswith(
        "The last is like the first. It changes at once, between frames 2 and 3 and between frames 3 and 4."
    )
    assert describe(first, other, first, first, first).count("In the middle") == 0


def test_a_cut_a_fade_and_a_still_clip() -> None:
    first, other = halves(RED, BLUE), filled(WHITE)
    assert describe(*[first] * 3, *[other] * 5).endswith("It changes at once, between frames 3 and 4.")
    fade = [(first * (1 - at / 15)).astype(np.uint8) for at in range(16)]
    assert describe(*fade).endswith("It changes little by little.")
    assert describe(*[first] * 8).endswith("Up to the last, hardly anything changes.")


@pytest.mark.parametrize(
    ("shift", "way"),
    [
        ((30, 0), "to the left"),  # the view goes right, so what is seen goes left
        ((-30, 0), "to the right"),
        ((0, 24), "upwards"),
        ((0, -24), "downwards"),
    ],
)
def test_what_moves_and_where_to(shift: tuple[int, int], way: str) -> None:
    assert describe(*moving(*shift)).endswith(f"From frame to frame, what is seen moves {way}.")


def test_pictures_that_have_nothing_to_do_with_each_other_do_not_move() -> None:
    chance = np.random.default_rng(3)
    for _ in range(30):
        frames = [chance.integers(0, 256, (4, 6, 3)).astype(np.uint8) for _ in range(6)]
        enlarged = [cv2.resize(each, (300, 200), interpolation=cv2.INTER_CUBIC) for each in frames]
        assert "moves" not in describe(*enlarged)


def test_the_same_pixels_get_the_same_words() -> None:
    noise = np.random.default_rng(5).integers(0, 256, (97, 211, 3)).astype(np.uint8)
    expected = describe(noise)
    assert describe(noise[:, :, ::-1][:, :, ::-1]) == expected  # however they lie in memory
    assert describe(np.asfortranarray(noise)) == expected


def test_different_pictures_get_different_sentences() -> None:
    """Three random rectangles on a random ground."""
    chance = np.random.default_rng(0)
    texts = set()
    for _ in range(200):
        pixels = filled(tuple(chance.integers(0, 256, 3)), 120, int(chance.integers(60, 240)))
        for _ in range(3):
            (top, bottom), (left, right) = (np.sort(chance.integers(0, side, 2)) for side in pixels.shape[:2])
            pixels[top:bottom, left:right] = chance.integers(0, 256, 3)
        texts.add(describe(pixels))
    assert len(texts) >= 196


def test_requests_that_cannot_be_answered() -> None:
    assert ask().error == "no_image"
    answer = ask(filled(RED), json_schema="{}")
    assert (answer.error, answer.text) == ("no_json", "")


def test_it_is_not_taken_for_a_model() -> None:
    assert "no model" in MODEL
    assert MODEL not in MODELS
