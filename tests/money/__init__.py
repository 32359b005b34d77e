"""Tests of what a miner costs and earns."""
