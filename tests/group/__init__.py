"""Tests of several miners as one."""
