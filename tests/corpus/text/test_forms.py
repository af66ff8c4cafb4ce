"""Forms of texts, each by planted ones; and captions that look a little like them."""

from __future__ import annotations

import pyarrow as pa

from corpus.text.forms import Form, text_form, text_forms

PLANTED = {
    Form.FILE_NAME: (
        "IMG_1234.jpg",
        "IMG_1234",
        "img 20190304 wa0012",
        "DSC00123",
        "DSC_0042.JPG",
        "DSCN4432",
        "P1020345.JPG",
        "Screenshot 2021-03-04 at 10.22.33",
        "Screen Shot 2019-01-01 at 9.41.00 AM.png",
        "photo-3",
        "Photo 3 of 12",
        "image1.jpeg",
        "image (4)",
        "red-dress.jpg",
        "wp-content/uploads/2019/03/red-dress-300x200.jpg",
        "12345678_10154_n.jpg",
        "IMG_1234.jpg, IMG_1235.jpg, IMG_1236.jpg",
        "d41d8cd98f00b204e9800998ecf8427e",
        "550e8400-e29b-41d4-a716-446655440000",
        "a83729103_n",
        "GOPR0231",
        "PXL_20210704_181233123",
        "slide-7",
        "Adobe Photo 12.jpg",
        "unnamed (1)",
        "FB_IMG_1546300800000",
    ),
    Form.DATE: (
        "2019-03-12",
        "12/03/2020",
        "12.3.2020 10:22",
        "March 3, 2014",
        "Monday, March 3rd, 2014",
        "14. März 2012",
        "May 2019",
        "2019",
        "3 juin 2011",
        "10:22 PM",
        "Posted on July 4, 2018",
    ),
    Form.NUMBER: ("5", "12345", "1,234.50", "(42)", "3 / 12"),
    Form.PLACEHOLDER: (
        "image",
        "Featured Image",
        "Click to enlarge",
        "click here to view larger image",
        "No image available",
        "Image not found",
        "photo coming soon",
        "Default product image",
        "logo",
        "Placeholder",
        "Loading...",
        "Advertisement",
        "View full size",
        "Image result for",
        "Photo by Getty Images",
        "Image may contain: 2 people, outdoor",
        "User Avatar",
        "alt text",
        "null",
        "Share on Facebook",
        "Pin it",
        "read more",
    ),
}
CAPTIONS = (
    "The sunset of IMG_1234 in the harbour",
    "my cat sleeps on the sofa.jpg",
    "A photo of a dog",
    "Photo of a red car",
    "Company picnic in 2019",
    "Image of the Eiffel Tower at night",
    "May flowers",
    "Sunday roast with potatoes",
    "Click beetle on a leaf",
    "Read more books poster",
    "Boeing 747 at Heathrow",
    "Route 66 sign",
    "iPhone 12",
    "Logo of the University of Vienna",
    "Windows 95 startup screen",
    "March on Washington, 1963 crowd",
    "product photo of a leather bag",
    "Home sweet home",
    "Search and rescue dog",
    "Loading dock of a warehouse",
    "巴黎是法国的首都",
    "C++",
    "Figure skating pair",
    "a blank canvas",
    "Print of a fox",
    "Photo by the lake at dusk",
)


def test_each_planted_form_is_found() -> None:
    wrong = {text: text_form(text) for form, texts in PLANTED.items() for text in texts if text_form(text) != form}
    assert wrong == {}


def test_captions_have_no_form() -> None:
    assert {text: found for text in CAPTIONS if (found := text_form(text))} == {}


def test_columns_are_as_single_texts_and_null_is_empty() -> None:
    texts = [text for found in PLANTED.values() for text in found] + [*CAPTIONS, "", " ", "x" * 201 + ".jpg"]
    column = pa.chunked_array([["first"], [*texts, None]])
    assert text_forms(column).to_pylist() == [text_form("first"), *map(text_form, texts), ""]


def test_what_is_made_to_keep_a_pattern_busy_is_decided_all_the_same() -> None:
    """With a pattern that backtracks over them this would not end."""
    hostile = [
        "a.jpg," * 32 + "é b",
        "img 1, " * 28 + "é",
        "1x" * 99 + "é",
        "image photo " * 16 + "z",
        "0a" * 99 + "g é",
    ]
    assert text_forms(pa.array(hostile * 20)).to_pylist() == [""] * 100
