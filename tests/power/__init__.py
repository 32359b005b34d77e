"""Tests of what decides about the power."""
