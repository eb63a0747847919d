"""The terminal application: its screens, widgets and plots."""
