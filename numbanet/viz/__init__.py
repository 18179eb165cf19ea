"""Models as text and pictures, and what their training steps do."""
