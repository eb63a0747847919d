"""What the screens are made of: pure renderers, and the widgets that show them."""
