"""The thread protocol v2: a graph's run as events, which of them a client asked for, and the commands it sends."""
