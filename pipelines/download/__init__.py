"""Downloads: images and videos by URL, images that pairs name, tars of img2dataset taken where they lie."""
