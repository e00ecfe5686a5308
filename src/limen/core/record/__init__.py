"""Records: versioned, model-aware data, and the unit of work that reads and writes them. Stores fill the port in
`port.py`."""
