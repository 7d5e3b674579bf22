"""Tests against what the real Supervisor was seen to do."""
