"""Cameras: one port, and drivers behind it that are imported only when they are used."""
