"""Type aliases for the numpy arrays that modules of this package exchange.

The aliases fix the element type only; docstrings state shape, unit and coordinate frame.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Bool = npt.NDArray[np.bool_]
UInt8 = npt.NDArray[np.uint8]
UInt16 = npt.NDArray[np.uint16]
Int16 = npt.NDArray[np.int16]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
IntP = npt.NDArray[np.intp]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
