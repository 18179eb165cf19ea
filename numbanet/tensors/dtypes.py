"""PyTorch's names of element types."""

from numbanet.ir import DType

dtype = DType
float32 = float = DType.FLOAT32
float64 = double = DType.FLOAT64
int32 = int = DType.INT32
int64 = long = DType.INT64
uint8 = DType.UINT8
bool = DType.BOOL
