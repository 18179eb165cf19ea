"""State that a run keeps: parameters laid out flat, and what graphs read them as."""
