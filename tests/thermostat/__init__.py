"""The thermostat in a real Home Assistant, with simulated miners and rooms."""
