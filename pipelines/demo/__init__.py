"""A small world to run the pipeline in: images, LAION-form metadata, a web server that misbehaves, and the truth."""
