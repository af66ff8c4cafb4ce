"""The demo: a small world to run the pipeline in (images, films, pairs, a web server that misbehaves) and its truth."""
