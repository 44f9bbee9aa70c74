"""What every section of `params.yaml` is: typed, frozen, and strict about its keys.

The class of a section stands beside the code that it steers, so that a change of one
section's rules makes only its own stage stale.
"""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
