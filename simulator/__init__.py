"""A balena device on loopback, for tests, the demo and benchmarks."""

from .apps import RECORDED_NEXT_RELEASE, App, Container, Release, Service
from .device import Device, Timings
from .faults import Fault, Faults
from .supervisor import Request, SupervisorServer

__all__ = [
    "RECORDED_NEXT_RELEASE",
    "App",
    "Container",
    "Device",
    "Fault",
    "Faults",
    "Release",
    "Request",
    "Service",
    "SupervisorServer",
    "Timings",
]
