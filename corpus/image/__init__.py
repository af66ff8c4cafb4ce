"""Images: decoding, sizes, measures."""
