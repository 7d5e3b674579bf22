"""Compare the simulator with the recorded behaviour of a real Supervisor."""
