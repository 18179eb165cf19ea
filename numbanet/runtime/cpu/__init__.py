"""The CPU as a device: threads, tables of launches, memory."""

from numbanet.runtime.cpu.device import CpuDevice
from numbanet.runtime.cpu.threads import get_num_threads, set_num_threads

__all__ = ["CpuDevice", "get_num_threads", "set_num_threads"]
