"""Errors of the integration, translated at the border: in actions, flows, entities and the media source.

SkylapseError
├── CommandError                 a command that was not carried out
│   ├── CommandTimeoutError      nobody answered in time
│   └── CommandRefusedError      the answer was no, with a code and a sentence
├── NotTakenError                a camera that does not say that it took, or ended, what was deployed
├── ProcessorAwayError           a test that is over, and no processor there to compare it
├── UnfitAnswerError             a reply whose result does not fit the contract
├── PictureError                 an entity of Home Assistant gave no picture that can be a frame
├── SpoolError                   the spool of Home Assistant's own cameras cannot be read or written now
│   └── SpoolFullError           there is no room for another frame
├── DamagedFrameError            a frame in the spool is not what was written
├── UploadError                  a frame did not reach the processor
│   ├── UploadKeyError           it does not know the key
│   ├── UploadQuarantinedError   it put the frame aside for good
│   └── UploadRefusedError       it does not take this one frame; others may fare better
└── ProcessorError               the processor's HTTP API did not do what was asked
    ├── ProcessorUnreachableError
    ├── ProcessorKeyError        it does not know the key
    ├── ProcessorMissingError    it does not have what was asked for
    └── ProcessorQueryError      it cannot make sense of what was asked for
"""


class SkylapseError(Exception):
    """Something went wrong outside Home Assistant."""


class CommandError(SkylapseError):
    """A command was not carried out."""


class CommandTimeoutError(CommandError):
    """Nobody answered a command in time."""


class CommandRefusedError(CommandError):
    """A command was refused or failed."""

    def __init__(self, code: str, message: str) -> None:
        """Remember the code for programs and the sentence for people."""
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message


class NotTakenError(SkylapseError):
    """A camera does not say that it took, or ended, what was deployed."""


class ProcessorAwayError(SkylapseError):
    """Nobody is there to compare a test that is over; it is compared when the processor is back."""


class UnfitAnswerError(SkylapseError):
    """The result of a command does not fit the contract."""


class PictureError(SkylapseError):
    """An entity of Home Assistant gave no picture that can be a frame."""


class SpoolError(SkylapseError):
    """The spool of Home Assistant's own cameras cannot be read or written now."""


class SpoolFullError(SpoolError):
    """There is no room for another frame."""


class DamagedFrameError(SkylapseError):
    """A frame in the spool is not what was written."""


class UploadError(SkylapseError):
    """A frame did not reach the processor."""


class UploadKeyError(UploadError):
    """The processor does not know the key."""


class UploadQuarantinedError(UploadError):
    """The processor put a frame aside for good."""


class UploadRefusedError(UploadError):
    """The processor does not take this one frame; others may fare better."""


class ProcessorError(SkylapseError):
    """The processor's HTTP API did not do what was asked."""


class ProcessorUnreachableError(ProcessorError):
    """No answer over HTTP."""


class ProcessorKeyError(ProcessorError):
    """The processor does not know the key."""


class ProcessorMissingError(ProcessorError):
    """The processor does not have what was asked for."""


class ProcessorQueryError(ProcessorError):
    """The processor cannot make sense of what was asked for."""
