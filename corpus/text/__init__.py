"""Text primitives that filters and captioning share: words and sentences, languages."""
