"""What picamera2 imports by name."""


class Picamera2Camera:
    """Describes a raw picture."""
