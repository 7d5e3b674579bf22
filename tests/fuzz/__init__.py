"""Whatever comes in, nothing breaks: answers, what people type, what browsers send.

Ordinary runs try few examples of each; scripts/fuzz tries many.
"""
