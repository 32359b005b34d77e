"""What a miner costs and earns."""
