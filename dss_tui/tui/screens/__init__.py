"""The screens, which show what `viewing` reads and ask the application for others by messages."""
