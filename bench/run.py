#!/usr/bin/env python3
"""Runs the benchmark kit's phases for one server, with our server among the peers.

    run.py KIT --peer eino|prometheus|victoriametrics --phases ingest,queries,crash,scrape,traces ...

The kit brings the load and the measuring; this adds how our server is started and how its data come to rest.
"""
import importlib.util
import json
import os
import sys
import time

EINO = {
    "cmd": ["{binary}", "server", "--config={{conf}}", "--data={{data}}", "--listen=127.0.0.1:{{port}}",
            "--otlp-grpc=off", "--otlp-http=off"],
    "port": 19990,
    "write": "/api/v1/write",
    "base": "",
    "ready": "/-/ready",
    "otlp": "/v1/traces",
    "settle": "eino",
}


def load_kit(kit):
    path = os.path.join(kit, "harness", "bench.py")
    spec = importlib.util.spec_from_file_location("kit_bench", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main():
    kit = os.path.abspath(sys.argv[1])
    bench = load_kit(kit)
    with open(os.path.join(kit, "harness", "peers.json")) as file:
        peers = json.load(file)
    peers["eino"] = dict(EINO, cmd=[part.format(binary=os.environ["EINO_BINARY"]) for part in EINO["cmd"]])
    peers_file = os.path.join(kit, "data", "peers.json")
    with open(peers_file, "w") as file:
        json.dump(peers, file)

    kit_settle = bench.settle

    def settle(server, kind, samples):
        if kind != "eino":
            return kit_settle(server, kind, samples)
        cpu, wall = server.cpu(), time.monotonic()
        result = {"du_at_once": bench.du(server.data)}
        bench.get(server.base + "/eino/v1/admin/flush", method="POST")
        result["what"] = "du of the data directory after POST /eino/v1/admin/flush"
        result["bytes_per_sample_final"] = bench.du(os.path.join(server.data, "metrics")) / samples
        result["settle_cpu_s"], result["settle_wall_s"] = server.cpu() - cpu, time.monotonic() - wall
        return result

    bench.settle = settle
    sys.argv = [bench.__file__, "--peers-file", peers_file] + sys.argv[2:]
    bench.main()


if __name__ == "__main__":
    main()
