"""Filters of items: image statistics and quality, duplicate images, quality and duplicates of texts."""
