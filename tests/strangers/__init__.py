"""What folders and files of strangers may do."""
