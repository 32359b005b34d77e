"""Tests of the integration: a real Home Assistant, a real socket, a simulated miner."""
