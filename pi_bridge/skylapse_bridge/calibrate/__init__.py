"""Calibration at the camera: chart, lens, tone curve, focus."""
