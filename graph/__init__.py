"""The graph: a router node, the agents as subgraphs, hand-offs by edge."""
