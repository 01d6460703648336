"""What metering has to know besides the files: features, token prices, how costs are rounded."""

import hashlib
from dataclasses import dataclass

from pipelines.ai_prices import AiPrice
from pipelines.usage_frames import STATEFUL, FeatureDefinition


@dataclass(frozen=True, slots=True)
class MeteringSpec:
    """What metering has to know besides the files.

    is_per_event, margins_bp: policy `token_cost_rounding: per_event`, and all margins in use.
    dedupe_days: within how many landing days an event id counts once.
    """

    features: tuple[FeatureDefinition, ...]
    prices: tuple[AiPrice, ...] = ()
    is_per_event: bool = False
    margins_bp: tuple[int, ...] = ()
    dedupe_days: int = 35

    @property
    def sha256(self) -> str:
        """What decides which columns and parts are kept; kept with each day. Not the prices:
        rows are only added to them."""
        kept = sorted(
            (f.code, f.aggregation, f.property, f.dimensions)
            for f in self.features
            if f.aggregation in STATEFUL or f.dimensions
        )
        margins = sorted(self.margins_bp) if self.is_per_event else []
        text = repr((kept, self.is_per_event, margins, self.dedupe_days))
        return hashlib.sha256(text.encode()).hexdigest()
