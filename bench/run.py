#!/usr/bin/env python3
"""Runs the benchmark kit's phases for one server, with our server among the peers, and two phases of our own.

    run.py KIT --peer eino|prometheus|victoriametrics --phases ingest,queries,crash,crash2,big,long,scrape,traces,wide,mixed ...

The kit brings the load and the measuring; this adds how our server is started and how its data come to rest, and

    wide    CPU per sample of a million series that exist already (their first samples are pushed before)
    mixed   latency of a query of one series, alone and while queries of all series run
"""
import argparse
import http.client
import importlib.util
import json
import os
import shutil
import statistics
import sys
import threading
import time
import types
import urllib.parse

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
OWN_PHASES = ("wide", "mixed")
SMALL_QUERIES = 400
BIG_QUERIES = 5


def load_kit(kit):
    path = os.path.join(kit, "harness", "bench.py")
    spec = importlib.util.spec_from_file_location("kit_bench", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def add_our_settle(bench):
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


def own_phases(bench, kit, peer_name, peer, phases, options):
    data = os.path.join(kit, "data", peer_name)
    conf = bench.empty_conf(data + ".yml")
    arguments = types.SimpleNamespace(peer=peer_name, nice=0)
    server = bench.Server(arguments, peer, data, conf)

    def push(corpus):
        url, out = server.base + peer["write"], os.path.join(kit, "data", "push.json")
        return bench.lg(arguments, "push", "--in", corpus, "--url", url, "--pid", server.pid, out=out)

    def run(phase, measure):
        shutil.rmtree(data, ignore_errors=True)
        os.makedirs(data)
        try:
            server.start()
            result = measure()
        finally:
            server.stop()
            shutil.rmtree(data, ignore_errors=True)
        with open(os.path.join(kit, "results", f"{peer_name}.{phase}.json"), "w") as file:
            json.dump(result, file, indent=1)

    def wide():
        push(options.wide_first)
        return push(options.wide_then)

    def mixed():
        push(options.corpus)
        meta = json.loads(bench.subprocess.check_output([bench.LG, "meta", "--in", options.corpus]))
        return latencies(server, peer.get("query_extra"), meta["end_ms"] / 1000)

    for phase, measure in (("wide", wide), ("mixed", mixed)):
        if phase in phases:
            run(phase, measure)


def latencies(server, extra, end):
    """Median seconds of a small query: alone, then while a query of all series over an hour is always running."""
    address = urllib.parse.urlsplit(server.base)

    def path(endpoint, parameters):
        query = urllib.parse.urlencode(parameters) + (f"&{extra}" if extra else "")
        return f"{address.path}{endpoint}?{query}"

    def ask(connection, target):
        connection.request("GET", target)
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise SystemExit(f"{target}: {response.status} {body[:300]}")

    small = path("/api/v1/query", {"query": 'node_load1{instance="host-00007:9100"}', "time": end})
    big = path("/api/v1/query_range", {"query": 'sum by (job)({__name__=~".+"})', "start": end - 3585, "end": end, "step": 60})

    def median(is_enough):
        connection = http.client.HTTPConnection(address.hostname, address.port)
        seconds = []
        while len(seconds) < SMALL_QUERIES or not is_enough():
            begun = time.perf_counter()
            ask(connection, small)
            seconds.append(time.perf_counter() - begun)
        return statistics.median(seconds)

    idle = median(lambda: True)
    over, running = threading.Event(), threading.Event()
    count = [0]

    def keep_busy():
        connection = http.client.HTTPConnection(address.hostname, address.port)
        while not over.is_set():
            running.set()
            ask(connection, big)
            count[0] += 1

    worker = threading.Thread(target=keep_busy)
    worker.start()
    running.wait()
    busy = median(lambda: count[0] >= BIG_QUERIES)
    over.set()
    worker.join()
    return {"idle_median_ms": idle * 1e3, "busy_median_ms": busy * 1e3, "busy_over_idle": busy / idle, "big_queries": count[0]}


def main():
    kit = os.path.abspath(sys.argv[1])
    bench = load_kit(kit)
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", required=True)
    parser.add_argument("--phases", required=True)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--wide-first")
    parser.add_argument("--wide-then")
    options, rest = parser.parse_known_args(sys.argv[2:])
    with open(os.path.join(kit, "harness", "peers.json")) as file:
        peers = json.load(file)
    peers["eino"] = dict(EINO, cmd=[part.format(binary=os.environ["EINO_BINARY"]) for part in EINO["cmd"]])
    peers_file = os.path.join(kit, "data", "peers.json")
    with open(peers_file, "w") as file:
        json.dump(peers, file)
    add_our_settle(bench)
    phases = options.phases.split(",")
    kit_phases = [phase for phase in phases if phase not in OWN_PHASES]
    if kit_phases:
        sys.argv = [bench.__file__, "--peers-file", peers_file, "--peer", options.peer, "--corpus", options.corpus,
                    "--phases", ",".join(kit_phases)] + rest
        bench.main()
    own_phases(bench, kit, options.peer, peers[options.peer], phases, options)


if __name__ == "__main__":
    main()
