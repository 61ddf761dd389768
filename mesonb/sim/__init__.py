"""Pretend agents and virtual time around the same core and the same frameworks."""

from mesonb.sim.distributions import constant, exponential, lognormal, normal, uniform

__all__ = ["constant", "exponential", "lognormal", "normal", "uniform"]
