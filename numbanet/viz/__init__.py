"""Models as text and pictures."""
