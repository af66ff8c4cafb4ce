"""Captions without a model."""

from __future__ import annotations

import numpy as np

from recaption.dummy import MODEL, DummyBackend, dummy_caption
from recaption.screening.screen import ScreeningSettings, screen
from serving.models import MODELS
from serving.request import GenerateRequest, GenerateResponse, Pixels

RED, BLUE, WHITE, BLACK = (220, 20, 20), (20, 20, 220), (255, 255, 255), (0, 0, 0)


def filled(colour: tuple[int, ...], height: int = 200, width: int = 300) -> Pixels:
    return np.broadcast_to(np.array(colour, np.uint8), (height, width, 3)).copy()


def random_pictures(count: int) -> list[Pixels]:
    """Three random rectangles on a random ground each."""
    chance = np.random.default_rng(0)
    pictures = []
    for _ in range(count):
        pixels = filled(tuple(chance.integers(0, 256, 3)), 120, int(chance.integers(60, 240)))
        for _ in range(3):
            (top, bottom), (left, right) = (np.sort(chance.integers(0, side, 2)) for side in pixels.shape[:2])
            pixels[top:bottom, left:right] = chance.integers(0, 256, 3)
        pictures.append(pixels)
    return pictures


def ask(*images: Pixels, **options: str) -> GenerateResponse:
    return DummyBackend().submit(GenerateRequest("Describe this picture.", images, **options)).result(timeout=0)


def test_it_names_shape_colours_and_the_lightest_part() -> None:
    pixels = filled(BLUE)
    pixels[:60, 100:200] = WHITE
    answer = ask(pixels)
    expected = "Dummy caption of a wide picture of blue and white, lightest at the top, mean levels 44/44/223."
    assert (answer.payload, answer.finish_reason, answer.error) == (expected, "stop", "")
    assert "an upright picture of red, lightest" in dummy_caption(filled(RED, 300, 200))
    assert "a square picture of black, lightest" in dummy_caption(filled(BLACK, 200, 200))


def test_of_frames_the_first_the_middle_and_the_last_count() -> None:
    text = dummy_caption(filled(BLACK), filled(BLUE), filled(RED), filled(WHITE))
    assert text.startswith("Dummy caption of 4 frames: a wide picture of black, lightest at the top left,")
    assert text.endswith("; halfway red at 220/20/20; finally 255/255/255.")


def test_the_same_pixels_get_the_same_words() -> None:
    noise = np.random.default_rng(5).integers(0, 256, (97, 211, 3)).astype(np.uint8)
    expected = dummy_caption(noise)
    assert dummy_caption(noise[:, :, ::-1][:, :, ::-1]) == expected  # however they lie in memory
    assert dummy_caption(np.asfortranarray(noise)) == expected


def test_different_pictures_get_different_words() -> None:
    assert len({dummy_caption(pixels) for pixels in random_pictures(200)}) >= 198


def test_screening_lets_the_captions_pass() -> None:
    pictures = random_pictures(60)
    texts = [dummy_caption(picture) for picture in pictures]
    texts += [dummy_caption(*pictures[at : at + 8]) for at in range(0, 48, 8)]
    texts += [dummy_caption(*[picture] * 8) for picture in pictures]  # of clips in which nothing moves
    screened = [screen(text, "stop", "Describe this picture in detail.", ScreeningSettings()) for text in texts]
    assert [each.caption for each in screened] == texts


def test_a_picture_of_one_pixel() -> None:
    assert dummy_caption(filled(RED, 1, 1)).startswith("Dummy caption of a square picture of red")


def test_requests_that_cannot_be_answered() -> None:
    assert ask().error == "no_image"
    answer = ask(filled(RED), json_schema="{}")
    assert (answer.error, answer.payload) == ("no_json", None)


def test_it_is_not_taken_for_a_model() -> None:
    assert "no model" in MODEL
    assert MODEL not in MODELS
