"""What ingest measured, packed into 40 bytes a frame: eight 32-bit floats and the fingerprint."""

import struct

from ..measure import Measurement

_PACKED = struct.Struct(">8f8s")


def pack(measured: Measurement) -> bytes:
    """Return the figures of a measurement, its thumbnail left out."""
    return _PACKED.pack(
        measured.log_mean,
        measured.red_ev,
        measured.blue_ev,
        measured.clipped_high,
        measured.clipped_low,
        measured.sharpness,
        measured.entropy,
        measured.colourfulness,
        bytes.fromhex(measured.fingerprint),
    )


def unpack(figures: bytes, width: int, height: int) -> Measurement:
    """Return the measurement that `pack` packed; single precision is what remains of its floats."""
    (
        log_mean,
        red_ev,
        blue_ev,
        clipped_high,
        clipped_low,
        sharpness,
        entropy,
        colourfulness,
        fingerprint,
    ) = _PACKED.unpack(figures)
    return Measurement(
        width=width,
        height=height,
        log_mean=log_mean,
        red_ev=red_ev,
        blue_ev=blue_ev,
        clipped_high=clipped_high,
        clipped_low=clipped_low,
        sharpness=sharpness,
        entropy=entropy,
        colourfulness=colourfulness,
        fingerprint=fingerprint.hex(),
    )
