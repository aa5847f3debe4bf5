"""What a Python client does with a server: `scenarios.py ADDRESS SCENARIO`, one function a scenario."""

import faulthandler
import itertools
import sys
import threading
import time

import grpc
from client import OPTIONS, Client, Refusal, event_id, refused, simple
from grpc_health.v1 import health_pb2, health_pb2_grpc

INVALID = grpc.StatusCode.INVALID_ARGUMENT


def equal(actual, expected, about=""):
    assert actual == expected, f"{about}\n  actual   {actual}\n  expected {expected}"


def reflection(address):
    """The services are found, each with its methods and messages."""
    client = Client(address)
    services = client.reflection.get_services()
    for service in ["EventLogService", "TimelineService", "AdminService"]:
        assert f"annals.v1.{service}" in services, services
    event = client.pool.FindMessageTypeByName("annals.v1.Event")
    equal(event.fields_by_name["valid_time"].message_type.full_name, "annals.v1.TimeSpan")


def cancelled_appends(address):
    """An append that is cancelled at any moment and sent again is recorded exactly once."""
    client = Client(address)
    outcomes = set()
    for number in range(1, 81):
        batch = [simple("retry/s", f"{number}/{n}", id=event_id(2 * number + n)) for n in range(2)]
        request = {"events": batch}
        attempt = client.future("EventLogService.AppendEvents", request)
        time.sleep(number % 20 / 4000)
        attempt.cancel()
        answer = client.call("EventLogService.AppendEvents", request)
        again = client.call("EventLogService.AppendEvents", request)
        assert again.replayed
        equal(list(again.events), list(answer.events))
        outcomes.add(answer.replayed)
    events = client.read()
    equal([event.id for event in events], [event_id(n) for n in range(2, 162)], "once each, in order")
    equal([event.position for event in events], list(range(1, 161)))
    assert True in outcomes, "some appends were made though their answer was not awaited"


def parties(number):
    entities = [{"id": f"country:{code}", "type": "COUNTRY", "country": code} for code in ["GB", "AL"]]
    return simple(f"noise/{number}", "meanwhile", participants=[{"entity": e, "role": "PARTY"} for e in entities])


def pages_while_another_appends(address):
    """Pages of three are the list that one page gives, though matching events arrive all the time."""
    stop = threading.Event()
    failures = []

    def write():
        client = Client(address)
        try:
            for number in itertools.count():
                if stop.is_set():
                    return
                client.append(parties(number))
        except BaseException as error:
            failures.append(error)

    client = Client(address)
    question = {
        "filter": {"allEntityIds": ["country:GB", "country:AL"]},
        "valid": {"from": "2022-01-01", "to": "2025-01-01"},
    }
    before = client.call("TimelineService.ListEntries", question)
    equal((len(before.entries), before.next_page_token), (10, ""))
    writer = threading.Thread(target=write)
    writer.start()
    while client.head() < before.snapshot + 9:
        time.sleep(0.01)
    try:
        entries, token, snapshots, heads = [], "", set(), set()
        while True:
            page = client.call("TimelineService.ListEntries", {**question, "pageSize": 3, "pageToken": token})
            assert len(page.entries) <= 3
            entries += page.entries
            snapshots.add(page.snapshot)
            head = client.head()
            heads.add(head)
            while client.head() == head:
                time.sleep(0.001)
            token = page.next_page_token
            if not token:
                break
    finally:
        stop.set()
        writer.join()
    assert not failures, failures
    equal(len(snapshots), 1, "the first page pins the snapshot")
    snapshot = snapshots.pop()
    assert len(heads) > 3, f"the log grew between pages: {heads}"

    def whole(position):
        pinned = {**question, "scope": {"asOfPosition": str(position)}, "pageSize": 1000}
        return list(client.call("TimelineService.ListEntries", pinned).entries)

    equal(entries, whole(snapshot))
    equal(len(entries), 10 + snapshot - before.snapshot)
    equal(list(before.entries), whole(before.snapshot), "what was answered before stays so")


def killed_subscriber(address):
    """A subscriber that sleeps, is killed and resumes sees every match, in order, none twice in a stream."""
    client = Client(address)
    total, part = 3000, 500
    lives = threading.Semaphore(0)

    def write():
        other = Client(address)
        for first in range(1, total + 1, 50):
            if first % part == 1:
                # Each part is written only after one more life has begun.
                lives.acquire()
            numbers = range(first, first + 50)
            other.append(*(simple("s", f"{n}", tags=["other" if n % 3 else "third"]) for n in numbers))

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    seen, checkpoint, store, chain = [], 0, "", ""
    while checkpoint < total:
        lives.release()
        question = {
            "filter": {"tags": ["third"]},
            "afterPosition": str(checkpoint),
            "checkpointInterval": "1s",
            "heartbeatInterval": "1s",
            "storeId": store,
            "afterChainHash": chain,
        }
        stream = client.call("EventLogService.SubscribeEvents", question)
        within, begin = [], checkpoint
        for count, message in enumerate(stream):
            kind = message.WhichOneof("content")
            if kind == "started":
                store = message.started.store_id
                equal(message.started.after_position, begin)
            elif kind == "events":
                within += [event.position for event in message.events.events]
            elif kind == "checkpoint":
                assert message.checkpoint.position >= checkpoint
                checkpoint, chain = message.checkpoint.position, message.checkpoint.chain_hash
                equal(len(chain), 64)
            if checkpoint > begin and count > 2:
                break
            time.sleep(0.005)
        stream.cancel()
        equal(within, sorted(set(within)), "in order, none twice")
        assert not within or within[0] > begin
        seen += within
    writer.join()
    equal(sorted(set(seen)), list(range(3, total + 1, 3)), "none lost")


def deadline(address):
    """A deadline ends a subscription; what came before it stands."""
    client = Client(address)
    client.append(simple("s", "one"))
    begin = time.monotonic()
    stream = client.call("EventLogService.SubscribeEvents", {"fromStart": True}, timeout=1)
    kinds, code = [], None
    try:
        for message in stream:
            kinds.append(message.WhichOneof("content"))
    except grpc.RpcError as error:
        code = error.code()
    equal(code, grpc.StatusCode.DEADLINE_EXCEEDED)
    equal(kinds[:2], ["started", "events"])
    assert 0.9 < time.monotonic() - begin < 30
    equal(client.head(), 1, "the channel works on")


def gzip(address):
    """Compressed requests are taken."""
    client = Client(address, compression=grpc.Compression.Gzip)
    text = "Tirana " * 8000
    client.append(*(simple("s", f"{n}", attributes={"text": text}) for n in range(10)))
    events = client.read()
    equal([event.attributes["text"] for event in events], [text] * 10)


def gzip_bomb(address):
    """The limit of a message holds for what it unpacks to."""
    client = Client(address, compression=grpc.Compression.Gzip)
    text = "Tirana " * 8000
    events = [simple("s", f"{n}", attributes={"text": text}) for n in range(90)]
    refusal = refused(lambda: client.append(*events))
    equal((refusal.code, refusal.reason), (INVALID, "MESSAGE_INVALID"))
    equal(refusal.metadata, {"bytes_max": str(4 << 20)})
    equal(client.head(), 0, "nothing was stored")


def details(address):
    """Errors carry their details in the forms of google.rpc."""
    client = Client(address)
    client.append(simple("s", "one", id=event_id(1)), simple("s", "two"))

    bad = [simple("a b", ""), simple("s", "t", validTime={"edtf": "2024-02-30"})]
    refusal = refused(lambda: client.append(*bad))
    equal((refusal.code, refusal.reason), (INVALID, "FIELD_INVALID"))
    equal(refusal.fields(), ["events[0].stream", "events[0].title", "events[1].valid_time.edtf"])
    equal(refusal.metadata, {"violations": "3", "omitted": "0"})
    assert all(violation.description for violation in refusal.BadRequest.field_violations)

    stale = [
        {"stream": {"name": "s", "revision": "1"}},
        {"stream": {"name": "s", "exists": True}},
        {"noneSince": {"filter": {"streams": ["s"]}, "afterPosition": "1"}},
    ]
    refusal = refused(lambda: client.append(simple("s", "three"), conditions=stale))
    equal((refusal.code, refusal.reason), (grpc.StatusCode.ABORTED, "CONDITION_FAILED"))
    violations = [(v.type, v.subject, v.description) for v in refusal.PreconditionFailure.violations]
    expected = [
        ("STREAM", "conditions[0]", "stream s has revision 2"),
        ("NONE_SINCE", "conditions[2]", "the event at position 2 matches"),
    ]
    equal(violations, expected)

    absent = [{"absent": {"filter": {"streams": ["s"]}}}]
    refusal = refused(lambda: client.append(simple("s", "three"), conditions=absent))
    equal((refusal.code, refusal.reason), (grpc.StatusCode.ALREADY_EXISTS, "MATCH_EXISTS"))
    equal(refusal.metadata, {"position": "1", "condition": "0"})

    refusal = refused(lambda: client.append(simple("s", "other", id=event_id(1))))
    equal((refusal.code, refusal.reason), (grpc.StatusCode.ALREADY_EXISTS, "EVENT_ID_REUSED"))
    equal(refusal.metadata, {"event_id": event_id(1), "position": "1"})

    refusal = refused(lambda: client.call("EventLogService.ReadEvents", {"fromPositionExclusive": "9"}))
    equal((refusal.code, refusal.reason), (grpc.StatusCode.OUT_OF_RANGE, "POSITION_BEYOND_HEAD"))
    equal(refusal.metadata, {"position": "9", "head": "2"})
    equal(client.head(), 2, "nothing was stored")


def full_queue(address):
    """A writer whose queue is full says when to come again; clients that do are all served, once each."""
    client = Client(address)
    client.head()
    waiting = {number: simple("s", f"{number}", id=event_id(number)) for number in range(400)}
    refusals = 0
    for _ in range(2000):
        request = lambda event: {"events": [event]}
        calls = {n: client.future("EventLogService.AppendEvents", request(e)) for n, e in waiting.items()}
        delay = 0
        for number, call in calls.items():
            if call.exception() is None:
                del waiting[number]
                continue
            refusal = Refusal(call.exception())
            equal((refusal.code, refusal.reason), (grpc.StatusCode.RESOURCE_EXHAUSTED, "WRITE_QUEUE_FULL"))
            retry = refusal.RetryInfo.retry_delay.ToTimedelta().total_seconds()
            assert 0 < retry < 60, retry
            delay = max(delay, retry)
            refusals += 1
        if not waiting:
            break
        time.sleep(delay)
    equal(waiting, {})
    assert refusals > 0, "the queue was never full"
    equal(sorted(event.id for event in client.read()), [event_id(n) for n in range(400)])


def not_utf8(address):
    """Text that is not UTF-8, which no message class lets through, is told by its field."""
    client = Client(address)
    path, request_class, _, _ = client.method("EventLogService.AppendEvents")
    _, request = client.prepare(
        "EventLogService.AppendEvents", {"events": [simple("s", "fine"), simple("s", "MARK")]}
    )
    good = request.SerializeToString()
    assert good.count(b"MARK") == 1 and isinstance(request, request_class)
    identity = lambda data: data
    raw = client.channel.unary_unary(path, request_serializer=identity, response_deserializer=identity)
    refusal = refused(lambda: raw(good.replace(b"MARK", b"M\xffRK")))
    equal((refusal.code, refusal.reason), (INVALID, "FIELD_INVALID"))
    equal(refusal.fields(), ["events[1].title"])
    refusal = refused(lambda: raw(b"\xff" * 9))
    equal((refusal.code, refusal.reason), (INVALID, "MESSAGE_INVALID"))
    equal(client.head(), 0, "nothing was stored")


def health(address):
    """Health is told for the server and for each service, and can be watched."""
    stub = health_pb2_grpc.HealthStub(grpc.insecure_channel(address, options=OPTIONS))
    serving = health_pb2.HealthCheckResponse.SERVING
    for service in ["", "annals.v1.EventLogService", "annals.v1.TimelineService", "annals.v1.AdminService"]:
        request = health_pb2.HealthCheckRequest(service=service)
        equal(stub.Check(request).status, serving, service)
        watch = stub.Watch(request, timeout=30)
        equal(next(watch).status, serving, service)
        watch.cancel()
    try:
        stub.Check(health_pb2.HealthCheckRequest(service="none"))
        raise AssertionError("an unknown service has no health")
    except grpc.RpcError as error:
        equal(error.code(), grpc.StatusCode.NOT_FOUND)


if __name__ == "__main__":
    # A scenario that hangs says where.
    faulthandler.dump_traceback_later(120, exit=True)
    globals()[sys.argv[2]](sys.argv[1])
