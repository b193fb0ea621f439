"""What picamera2 imports by name."""


class PICAM2DNG:
    """Writes a raw picture."""
