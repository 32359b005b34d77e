"""API 1.x and 2.x on port 4028."""
