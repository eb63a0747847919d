"""The screens. They show what `viewing` reads, and ask the application for more by messages."""
