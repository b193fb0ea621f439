"""Stands in for a compiled part of Home Assistant's voice assistant that has no wheel for Python 3.14.

Home Assistant imports it whenever a browser asks for its actions; nobody speaks in a demo.
"""


class AudioProcessor:
    """Cleans no sound."""
