#!/usr/bin/env python3
"""Many clients at once against `minima serve` on this machine, for as long as is asked; standard library only.

Each client streams answers of mixed lengths, one after the other; a third of the requests are left at random. Every
request is accounted for: finished, left, or refused. At the end memory, cache blocks and places must be back where they
started. Then the same with SIGTERM in the middle (what was accepted finishes), and kill -9 with a restart.

  Tests/Soak/soak.py .build/release/minima Models/tiny --clients 200 --minutes 10
"""
import argparse, asyncio, json, os, random, signal, subprocess, sys, tempfile, time

PROMPTS = ["The history of the lighthouse", "Water is", "She opened the door and", "In the year 1850 a",
           "A list of the rivers of the country, from the longest to the shortest, with their lengths:"]


class Server:
    def __init__(self, program, model, extra):
        self.out = tempfile.NamedTemporaryFile("w+", suffix=".out")
        self.err = open(os.environ.get("SOAK_LOG", os.devnull), "a")
        environment = dict(os.environ, OMP_WAIT_POLICY="passive")
        start = time.monotonic()
        self.process = subprocess.Popen(
            [program, "serve", model, "--port", "0", "--json", "--quiet", *extra],
            stdout=self.out, stderr=self.err, env=environment)
        while True:
            text = open(self.out.name).read()
            if text.endswith("\n"):
                break
            if self.process.poll() is not None:
                sys.exit("the server did not start")
            time.sleep(0.02)
        self.start_seconds = time.monotonic() - start
        self.port = int(json.loads(text)["url"].rsplit(":", 1)[1])

    def memory(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            fields = dict(line.split(":", 1) for line in file if ":" in line)
        return int(fields["VmRSS"].split()[0]) / 1024

    def files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    async def get(self, path):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = (await reader.read()).decode()
        writer.close()
        head, _, body = answer.partition("\r\n\r\n")
        return int(head.split()[1]), body

    async def metrics(self):
        _, text = await self.get("/metrics")
        values = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                values[name] = float(value)
        return values

    async def gauge(self, name):
        return sum(v for k, v in (await self.metrics()).items() if k.startswith(f"vllm:{name}{{"))


class Counts:
    def __init__(self):
        self.sent = self.finished = self.left = self.refused = self.broken = self.failed = 0
        self.between, self.first = [], []
        self.tokens = 0

    def total(self):
        return self.finished + self.left + self.refused + self.broken + self.failed


async def request(server, counts, rng, draining):
    """One request; every way that it can end is counted once."""
    tokens = rng.choice([4, 16, 48, 128])
    leaves_after = rng.randrange(0, tokens) if rng.random() < 1 / 3 else None
    body = json.dumps({"prompt": rng.choice(PROMPTS) + f" {rng.randrange(1000)}", "max_tokens": tokens, "stream": True,
                       "ignore_eos": True, "temperature": rng.choice([0, 0, 0.8]), "seed": rng.randrange(1 << 30)})
    counts.sent += 1
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    except OSError:
        counts.refused += 1  # no longer listening
        return draining.is_set()
    try:
        writer.write((f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                      f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}").encode())
        start = time.monotonic()
        status = (await reader.readline()).decode()
        if not status:
            # A connection that is closed before it is answered was never accepted.
            if draining.is_set():
                counts.refused += 1
            else:
                counts.broken += 1
            return True
        code = int(status.split()[1])
        if code in (429, 503):
            counts.refused += 1
            await reader.read()
            if draining.is_set():
                return True
            await asyncio.sleep(rng.random())
            return False
        if code != 200:
            counts.failed += 1
            return False
        last, pieces, done = None, 0, False
        while line := await reader.readline():
            if line.startswith(b"data: [DONE]"):
                done = True
            elif line.startswith(b"data: "):
                if b'"error"' in line[:20]:
                    break
                now = time.monotonic()
                if last is None:
                    counts.first.append(now - start)
                else:
                    counts.between.append(now - last)
                last, pieces = now, pieces + 1
                if leaves_after is not None and pieces > leaves_after:
                    counts.left += 1
                    return False
        if done:
            counts.finished += 1
        else:
            counts.broken += 1
        return False
    except (ConnectionError, asyncio.IncompleteReadError):
        if draining.is_set() and 'code' not in locals():
            counts.refused += 1
        else:
            counts.broken += 1
        return False
    finally:
        writer.close()


async def load(server, clients, seconds, seed, drain_after=None):
    counts, draining = Counts(), asyncio.Event()
    end = time.monotonic() + seconds

    async def client(number):
        rng = random.Random(seed * 1000 + number)
        await asyncio.sleep(rng.random())
        while time.monotonic() < end:
            if await request(server, counts, rng, draining):
                return

    async def drain():
        await asyncio.sleep(drain_after)
        draining.set()
        server.process.send_signal(signal.SIGTERM)

    jobs = [client(number) for number in range(clients)]
    if drain_after is not None:
        jobs.append(drain())
    await asyncio.gather(*jobs)
    return counts


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))] * 1000 if values else float("nan")


def report(name, counts):
    assert counts.total() == counts.sent, "every request is accounted for"
    print(f"{name}: {counts.sent} requests: {counts.finished} finished, {counts.left} left, {counts.refused} refused, "
          f"{counts.failed} failed, {counts.broken} broken; first token p50/p99 "
          f"{percentile(counts.first, .5):.0f}/{percentile(counts.first, .99):.0f} ms, between tokens p50/p99 "
          f"{percentile(counts.between, .5):.1f}/{percentile(counts.between, .99):.1f} ms", flush=True)


async def settle(server):
    for _ in range(200):
        if await server.gauge("kv_cache_usage_perc") == 0 and await server.gauge("num_requests_waiting") == 0:
            return
        await asyncio.sleep(0.05)
    sys.exit("cache blocks are still in use")


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("model")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--options", default="--cache-tokens 100000", help="of minima serve, as one text")
    arguments = parser.parse_args()
    extra = arguments.options.split()
    faults = 0

    server = Server(arguments.program, arguments.model, extra)
    print(f"started in {server.start_seconds:.2f} s", flush=True)
    # What the allocators keep for reuse is there after the first wave.
    report("warming", await load(server, arguments.clients, 15, seed=1))
    await settle(server)
    memory, files = server.memory(), server.files()
    counts = await load(server, arguments.clients, arguments.minutes * 60, seed=2)
    report("load", counts)
    await settle(server)
    status, _ = await server.get("/health")
    values = await server.metrics()
    ended = {k.split('finished_reason="')[1][:-2]: int(v) for k, v in values.items() if "request_success_total" in k}
    after = server.memory()
    print(f"memory {memory:.0f} -> {after:.0f} MiB, open files {files} -> {server.files()}, health {status}, "
          f"the server counts {ended}", flush=True)
    faults += counts.failed + counts.broken + (status != 200) + (after > memory * 1.1 + 20)
    faults += server.files() > files

    counts = await load(server, arguments.clients, 60, seed=3, drain_after=10)
    code = server.process.wait(timeout=120)
    report("SIGTERM in the middle", counts)
    print(f"exit status {code}", flush=True)
    faults += counts.failed + counts.broken + (code != 0)

    server = Server(arguments.program, arguments.model, extra)
    task = asyncio.create_task(load(server, arguments.clients, 8, seed=4))
    await asyncio.sleep(5)
    server.process.kill()
    server.process.wait()
    await task
    server = Server(arguments.program, arguments.model, extra)
    counts = await load(server, 8, 3, seed=5)
    report(f"after kill -9, restarted in {server.start_seconds:.2f} s", counts)
    faults += counts.failed + counts.broken
    server.process.terminate()
    faults += server.process.wait(timeout=60) != 0
    print("sound" if faults == 0 else f"{faults} faults")
    sys.exit(faults != 0)


asyncio.run(main())
