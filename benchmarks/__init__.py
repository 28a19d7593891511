"""Speed and quality side by side: `python -m benchmarks NAME`."""
