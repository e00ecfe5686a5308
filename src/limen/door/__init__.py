"""Floor 5: the doors. Each turns bytes from a transport into calls of a realm, and the answers back into bytes."""
