"""Who decides about a miner's power, and how a decision is carried out."""
