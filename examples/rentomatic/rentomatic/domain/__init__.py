"""What a room is. Knows nothing of the layers around it."""
