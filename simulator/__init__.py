"""Simulated balena devices and a simulated balena API on loopback, for tests, the demo and benchmarks."""

from .account import OMIT, CloudDevice, Fleet, FleetRelease, Token, TokenKind
from .apps import RECORDED_NEXT_RELEASE, App, Container, Release, Service
from .cloud import CloudServer
from .device import Device, Timings
from .faults import Fault, Faults
from .server import Request
from .supervisor import SupervisorServer

__all__ = [
    "OMIT",
    "RECORDED_NEXT_RELEASE",
    "App",
    "CloudDevice",
    "CloudServer",
    "Container",
    "Device",
    "Fault",
    "Faults",
    "Fleet",
    "FleetRelease",
    "Release",
    "Request",
    "Service",
    "SupervisorServer",
    "Timings",
    "Token",
    "TokenKind",
]
