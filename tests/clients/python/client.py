"""A client that knows only the address of a server: services and messages come by reflection."""

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_status import rpc_status

DETAILS = [
    error_details_pb2.ErrorInfo,
    error_details_pb2.BadRequest,
    error_details_pb2.PreconditionFailure,
    error_details_pb2.RetryInfo,
]
OPTIONS = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", 16 << 20)]


class Client:
    """Calls methods with requests in their JSON form; answers are messages."""

    def __init__(self, address, compression=None):
        self.channel = grpc.insecure_channel(address, options=OPTIONS, compression=compression)
        # A channel of its own: only the services of Annals take compressed requests.
        self.reflection = ProtoReflectionDescriptorDatabase(grpc.insecure_channel(address, options=OPTIONS))
        self.pool = descriptor_pool.DescriptorPool(self.reflection)

    def method(self, name):
        """Gives the path of `Service.Method`, its classes of messages, and whether it streams."""
        service, _, method = name.partition(".")
        found = self.pool.FindServiceByName(f"annals.v1.{service}").FindMethodByName(method)
        classes = [message_factory.GetMessageClass(kind) for kind in (found.input_type, found.output_type)]
        return f"/annals.v1.{service}/{method}", *classes, found.server_streaming

    def prepare(self, name, request):
        """Gives what calls the method, and the request to call it with."""
        path, request_class, response_class, streams = self.method(name)
        form = self.channel.unary_stream if streams else self.channel.unary_unary
        callable_ = form(
            path,
            request_serializer=request_class.SerializeToString,
            response_deserializer=response_class.FromString,
        )
        return callable_, json_format.ParseDict(request, request_class(), descriptor_pool=self.pool)

    def call(self, name, request, **options):
        """Calls; a stream of answers is given as grpcio gives it."""
        callable_, message = self.prepare(name, request)
        return callable_(message, **options)

    def future(self, name, request, **options):
        """Begins a call without waiting for the answer."""
        callable_, message = self.prepare(name, request)
        return callable_.future(message, **options)

    def append(self, *events, conditions=()):
        """Appends events."""
        return self.call("EventLogService.AppendEvents", {"events": events, "conditions": list(conditions)})

    def head(self):
        """Gives the last durable position."""
        return self.call("EventLogService.GetHead", {}).position

    def read(self):
        """Reads the whole log."""
        parts = self.call("EventLogService.ReadEvents", {})
        return [event for part in parts for event in part.events.events]


class Refusal:
    """An error with its details decoded."""

    def __init__(self, error):
        self.code = error.code()
        status = rpc_status.from_call(error)
        assert status is not None, f"no details in {error}"
        assert status.code == self.code.value[0] and status.message == error.details()
        for detail in status.details:
            known = [kind for kind in DETAILS if detail.Is(kind.DESCRIPTOR)]
            assert known, f"unknown detail {detail.type_url}"
            decoded = known[0]()
            assert detail.Unpack(decoded)
            setattr(self, known[0].DESCRIPTOR.name, decoded)
        assert self.ErrorInfo.domain == "annals.v1"
        self.reason = self.ErrorInfo.reason
        self.metadata = dict(self.ErrorInfo.metadata)

    def fields(self):
        """The paths of the fields that are wrong."""
        return [violation.field for violation in self.BadRequest.field_violations]


def refused(call):
    """Makes a call that must fail; tells how it did."""
    try:
        answer = call()
        # A stream fails when it is read.
        answer = list(answer) if hasattr(answer, "__next__") else answer
    except grpc.RpcError as error:
        return Refusal(error)
    raise AssertionError(f"not refused: {answer}")


def event_id(number):
    """A UUID that is easy to tell from others."""
    return f"018f9ee2-9300-7000-8000-{number:012x}"


def simple(stream, title, **fields):
    """An event that breaks no rule."""
    return {
        "stream": stream,
        "title": title,
        "validTime": {"edtf": "2024-05-22"},
        "modality": "ACTUAL",
        "assertion": "RECORDED",
        "custom": {"type": "org.example.note.v1", "data": {"n": 1}},
        **fields,
    }
