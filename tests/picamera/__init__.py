"""The driver of the Raspberry Pi's cameras on real picamera2 and libcamera."""
