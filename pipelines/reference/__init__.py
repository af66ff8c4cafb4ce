"""The reference of the documentation, made of the classes, and the site that it is a part of."""
