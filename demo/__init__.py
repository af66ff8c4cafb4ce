"""The demo builds a small world (images, films, pairs, a faulty web server), runs the pipeline, checks the result."""
