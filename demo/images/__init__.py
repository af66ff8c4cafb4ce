"""The demo's pictures: drawn scenes, photographs, planted defects, and the world of metadata about them."""
