"""The tests: of the client, of the simulator, of the integration, and of all three together."""
