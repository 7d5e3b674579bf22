"""Property-based tests with random responses, user input and WebSocket messages.

Regular runs try few examples of each. scripts/fuzz tries many.
"""
