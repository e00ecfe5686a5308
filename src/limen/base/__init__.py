"""Floor 0: the words everyone uses. Nothing here does I/O or knows of any other room."""
