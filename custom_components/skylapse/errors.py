"""Errors of the integration, translated at the border: in actions, flows, entities and the media source.

SkylapseError
├── CommandError                 a command that was not carried out
│   ├── CommandTimeoutError      nobody answered in time
│   └── CommandRefusedError      the answer was no, with a code and a sentence
├── NotTakenError                a camera that does not say that it took, or ended, what was deployed
├── UnfitAnswerError             a reply whose result does not fit the contract
└── ProcessorError               the processor's HTTP API did not do what was asked
    ├── ProcessorUnreachableError
    ├── ProcessorKeyError        it does not know the key
    └── ProcessorMissingError    it does not have what was asked for
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


class UnfitAnswerError(SkylapseError):
    """The result of a command does not fit the contract."""


class ProcessorError(SkylapseError):
    """The processor's HTTP API did not do what was asked."""


class ProcessorUnreachableError(ProcessorError):
    """No answer over HTTP."""


class ProcessorKeyError(ProcessorError):
    """The processor does not know the key."""


class ProcessorMissingError(ProcessorError):
    """The processor does not have what was asked for."""
