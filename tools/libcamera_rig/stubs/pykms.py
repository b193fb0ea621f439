"""Stands for the module that draws on a screen: picamera2 imports it, and a bridge never draws."""


class PixelFormat:
    """Names of pixel formats, as far as picamera2 looks them up while it is imported."""

    RGB888 = BGR888 = XRGB8888 = XBGR8888 = YUV420 = YVU420 = NV12 = None
