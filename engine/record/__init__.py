"""What a run leaves behind and how it is read: events, folders, string files. No torch here."""
