"""Tests of Skylapse."""
