"""What the application does, and the port through which it reaches rooms."""
