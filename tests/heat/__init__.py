"""Tests of heating with a miner."""
