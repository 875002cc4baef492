"""Statistics + policy + key -> parameters. The only place where anything is random, and every number comes
from a key.

Round one (`plan_where`) decides geometry from the image's statistics; after the warp, `plan_filters` and
`plan_tone` decide how the crop looks from the crop's own. Nothing here sees a pixel.
"""

from adaptaug.planning.appearance import plan_filters, plan_late, plan_tone
from adaptaug.planning.draws import Draws
from adaptaug.planning.geometry import Where, plan_where, shortest_side

__all__ = ["Draws", "Where", "plan_filters", "plan_late", "plan_tone", "plan_where", "shortest_side"]
