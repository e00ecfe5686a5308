"""Floor 4: what is served as files, and the strict headers of every answer. Knows nothing of calls."""
