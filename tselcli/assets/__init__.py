"""Bundled weights, their model card and the demo recording."""
