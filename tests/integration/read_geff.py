"""Reads a GEFF with the reference library, which checks its structure, and prints its graph as JSON.

{"nodes": {id: {property: value}}, "edges": [[source, target]], "axes": [name, ...], "tracklet": property}
"""

import json
import sys

import geff

graph, metadata = geff.read(sys.argv[1], structure_validation=True, backend="networkx")
nodes = {str(i): {k: (v.item() if hasattr(v, "item") else v) for k, v in p.items()} for i, p in graph.nodes(data=True)}
print(
    json.dumps(
        {
            "nodes": nodes,
            "edges": [[int(a), int(b)] for a, b in graph.edges],
            "axes": [axis.name for axis in metadata.axes],
            "tracklet": (metadata.track_node_props or {}).get("tracklet"),
        }
    )
)
