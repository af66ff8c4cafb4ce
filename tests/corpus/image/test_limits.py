"""A header says why its image is not decoded."""

from corpus.image.header import ImageHeader
from corpus.image.limits import reject_reason


def test_a_header_says_why_an_image_is_not_decoded() -> None:
    whole = ImageHeader("png", 50, 40, complete=True)
    cases = {
        "": whole,
        "not_an_image": ImageHeader(),
        "too_many_pixels": ImageHeader("png", 51, 40, complete=True),
        "side_too_long": ImageHeader("png", 1, 101, complete=True),
        "truncated": ImageHeader("png", 50, 40),
    }
    assert {wanted: reject_reason(header, 2000, 100) for wanted, header in cases.items()} == {
        name: name for name in cases
    }
