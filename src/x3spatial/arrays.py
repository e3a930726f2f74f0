"""Names for the arrays that the modules of this package hand each other.

World frame: right-handed, metres, z up, the room's floor at z = 0.
Camera frame: x right, y down, z forward. Image positions in pixels, pixel (i, j) covers
[i, i + 1) x [j, j + 1).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int16 = npt.NDArray[np.int16]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
UInt8 = npt.NDArray[np.uint8]
Bool = npt.NDArray[np.bool_]
