"""API 3.x on port 4433."""
