"""Compiled kernels behind the allocator's interface: imported only when asked for, and only where numba is installed.

Rule: a kernel decides exactly what its plain Python form decides, or leaves the decision to it.
"""

from mesonb.fast.drf import FastDRF

__all__ = ["FastDRF"]
