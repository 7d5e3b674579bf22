"""Simulated balena devices and a simulated balena API on loopback, for tests, the demo and benchmarks."""

from .account import CloudDevice, Fleet, Token, TokenKind
from .apps import RECORDED_NEXT_RELEASE, App, Container, Release, Service
from .cloud import CloudServer
from .device import Device, Timings
from .faults import Fault, Faults
from .server import Request
from .supervisor import SupervisorServer

__all__ = [
    "RECORDED_NEXT_RELEASE",
    "App",
    "CloudDevice",
    "CloudServer",
    "Container",
    "Device",
    "Fault",
    "Faults",
    "Fleet",
    "Release",
    "Request",
    "Service",
    "SupervisorServer",
    "Timings",
    "Token",
    "TokenKind",
]
