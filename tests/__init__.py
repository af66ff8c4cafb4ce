"""The tests mirror the folders of the product; what they share is in `tests.helpers`."""
