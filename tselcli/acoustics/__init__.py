"""Rooms, microphone arrays and scenes: drawn as data, then rendered."""
