"""Sounds with captions: files, published data sets and built-in procedural sounds."""
