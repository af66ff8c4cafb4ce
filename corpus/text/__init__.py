"""Text primitives that filters, captioning and publishing share: words, languages, cleaning, keys, near duplicates."""
