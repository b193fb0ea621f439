"""What matters here of two of libcamera's tuning files, as test data.

Facts out of raspberrypi/libcamera, `src/ipa/rpi/vc4/data/imx519.json` and `src/ipa/rpi/pisp/data/imx708.json`
(BSD-2-Clause), shortened to the algorithms that the bridge reads and one that it leaves alone; of the 53
points of the second tone curve the first four and the last.
"""

from typing import Any

from skylapse_protocol.tone import CURVES

_COLOUR_CURVE = (
    (2890.0, 0.7328, 0.3734),
    (3550.0, 0.6228, 0.4763),
    (4500.0, 0.5208, 0.5825),
    (5700.0, 0.4467, 0.6671),
    (7900.0, 0.3858, 0.7411),
)

IMX519: dict[str, Any] = {
    "version": 2.0,
    "target": "bcm2835",
    "algorithms": [
        {"rpi.black_level": {"black_level": 4096}},
        {
            "rpi.lux": {
                "reference_shutter_speed": 13841,
                "reference_gain": 2.0,
                "reference_aperture": 1.0,
                "reference_lux": 900,
                "reference_Y": 12064,
            }
        },
        {
            "rpi.awb": {
                "bayes": 1,
                "ct_curve": [value for point in _COLOUR_CURVE for value in point],
            }
        },
        {
            "rpi.contrast": {
                "ce_enable": 1,
                "gamma_curve": [int(value) for point in CURVES["imx519"] for value in point],
            }
        },
    ],
}

IMX708_ON_A_PI_5: dict[str, Any] = {
    "version": 2.0,
    "target": "pisp",
    "algorithms": [
        {
            "rpi.lux": {
                "reference_shutter_speed": 20716,
                "reference_gain": 1.12,
                "reference_aperture": 1.0,
                "reference_lux": 810,
                "reference_Y": 13994,
            }
        },
        {"rpi.awb": {"enabled": False, "ct_curve": [2964.0, 0.7451, 0.3213, 7590.0, 0.3847, 0.6921]}},
        {"rpi.nn.awb": {"enabled": True, "ct_curve": [2964.0, 0.7451, 0.3213, 3610.0, 0.6119, 0.4443]}},
        {
            "rpi.contrast": {
                "ce_enable": 1,
                "gamma_curve": [0, 0, 512, 2518, 1024, 5033, 1536, 7175, 65535, 65535],
            }
        },
    ],
}
