"""Errors of the bridge.

BridgeError
├── ConfigError              the configuration cannot be used; names file, line and key
├── CalibrationError         a calibration that cannot be trusted, or not be made; says what to do better
├── OutputError              what was made cannot be written where it was asked to be
├── ClockError               a moment that the bridge's clock cannot give
├── CameraError              a camera did not do what it was asked
│   ├── CameraLostError      it does not answer, and has to be started anew
│   │   └── CameraHungError  a call of its driver does not return
│   ├── CameraBusyError      another program has it
│   ├── CameraEndError       it has no more pictures (a folder that was replayed)
│   └── UnsupportedError     it cannot do this at all
├── SpoolError               the outbox cannot be used
│   ├── SpoolFullError       no room is left for another frame
│   │   └── SpoolLimitError  by its limits: it is known when there is room again
│   └── DamagedError         a frame's file is gone, or is not what was announced
├── UploadError              the processor did not take a frame; it stays in the spool
│   ├── KeyRefusedError      the processor does not know the key
│   └── QuarantinedError     the processor has another picture under the same name
├── BrokerError              the MQTT broker cannot be used
└── CommandRefusedError      a command cannot be obeyed; carries the code of the reply
"""


class BridgeError(Exception):
    """The root of all errors of the bridge."""


class ConfigError(BridgeError):
    """The configuration cannot be used: which file, which line, which key, and why."""


class OutputError(BridgeError):
    """What was made cannot be written where it was asked to be."""


class CalibrationError(BridgeError):
    """A calibration cannot be made, or not be trusted; the words say what to do better."""


class ClockError(BridgeError):
    """A moment that the bridge's clock cannot give."""


class CameraError(BridgeError):
    """A camera did not do what it was asked."""


class CameraLostError(CameraError):
    """A camera does not answer and has to be started anew."""


class CameraBusyError(CameraError):
    """Another program has the camera."""


class CameraHungError(CameraLostError):
    """A call of a camera's driver does not return: the thread that made it is left behind."""


class CameraEndError(CameraError):
    """A camera has no more pictures: the folder behind it was replayed to its end."""


class UnsupportedError(CameraError):
    """A camera cannot do this at all."""


class SpoolError(BridgeError):
    """The outbox cannot be used."""


class SpoolFullError(SpoolError):
    """No room is left for another frame."""


class SpoolLimitError(SpoolFullError):
    """The limits leave no room for another frame; whoever looks again sees when they do."""


class DamagedError(SpoolError):
    """A frame's file is gone, or is not what was announced."""


class UploadError(BridgeError):
    """The processor did not take a frame; it stays in the spool."""


class KeyRefusedError(UploadError):
    """The processor does not know the key of this bridge."""


class QuarantinedError(UploadError):
    """The processor has another picture under the same name and put this one aside."""


class BrokerError(BridgeError):
    """The MQTT broker cannot be used."""


class CommandRefusedError(BridgeError):
    """A command cannot be obeyed."""

    def __init__(self, code: str, message: str) -> None:
        """Remember the code for programs and the sentence for people."""
        super().__init__(message)
        self.code = code
        self.message = message
