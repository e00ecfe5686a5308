"""The Django application of the storage benchmark."""
