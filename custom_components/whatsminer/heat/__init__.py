"""Heat with a miner."""
