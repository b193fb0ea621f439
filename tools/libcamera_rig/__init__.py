"""Real picamera2 on real libcamera without a Raspberry Pi: the virtual camera and its surroundings."""
