"""Tests of the blueprints and of docs/automations.md."""
