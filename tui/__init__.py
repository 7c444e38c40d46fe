"""WebSocket to screen: the viewer, and the same engine for plain output."""
