"""Builds the demo's images: drawn scenes, photographs, planted defects, and metadata about them."""
