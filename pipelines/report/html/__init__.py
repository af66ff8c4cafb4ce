"""Self-contained HTML: a page with its style and script inside, histograms as SVG, galleries of images and texts.

A page loads nothing: it opens from disk, without a server, and its own policy forbids every request.
"""
