"""What an A/B test ends with: its arms, scored on the same light.

It travels as the result of the processor's command `compare` and by HTTP. Fields may be added with a default;
they are never renamed or redefined within a schema.
"""

from dataclasses import dataclass
from datetime import datetime

from .identifiers import CameraName, parse_id


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmScore:
    """What the frames of one arm of an A/B test are worth; null where it cannot be measured."""

    test_id: str
    profile: str | None
    frames: int
    exposure_error_ev: float | None = None
    """Rms distance, in stops, of the pictures' brightness from what the profile asked for at their light."""
    clipped_low: float | None = None
    """Mean share of black pixels."""
    clipped_high: float | None = None
    """Mean share of white pixels."""
    noise: float | None = None
    """Standard deviation of fine grain in smooth parts of the picture, share of full scale, linear light."""
    sharpness: float | None = None
    colour_drift: float | None = None
    """Rms step of the colour of grey from frame to frame, in stops of red to blue."""
    flicker_mev: float | None = None
    """Flicker that a film of these frames would have, levelled as the film would be."""
    score: float | None = None
    """0 to 100: the mean rank of the figures above among the arms, higher is better."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """The scored comparison that an A/B test ends with."""

    id: str
    """Of the experiment."""
    camera: str
    compared_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    arms: tuple[ArmScore, ...]
    pairs: tuple[tuple[str, ...], ...] = ()
    """Names of frames taken next to each other, one of each arm in their order; at most fifty."""
    winner: str | None = None
    """Test id of the arm with the best score; null where no arm is clearly better."""

    def __post_init__(self) -> None:
        """Refuse comparisons that could not be filed."""
        parse_id(self.id, "experiment")
        CameraName.parse(self.camera)
