// A client whose services and messages are read from the proto files of the repository.
'use strict';

const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const PROTO = path.resolve(__dirname, '../../../proto');
const FILES = [
  'annals/v1/event_log_service.proto',
  'annals/v1/timeline_service.proto',
  'annals/v1/admin_service.proto',
  'google/rpc/status.proto',
  'google/rpc/error_details.proto',
];
const definitions = loader.loadSync(FILES, {
  includeDirs: [PROTO], longs: String, enums: String, oneofs: true, keepCase: true, defaults: true,
});
const { annals } = grpc.loadPackageDefinition(definitions);

/** Makes a client of one service. */
function client(service, address) {
  return new annals.v1[service](address, grpc.credentials.createInsecure(), { 'grpc.enable_http_proxy': 0 });
}

/** Calls a method that gives one answer. */
function call(client, method, request, metadata = new grpc.Metadata(), options = {}) {
  return new Promise((resolve, reject) => {
    client[method](request, metadata, options, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

/** Makes a call that must fail; gives the error with its details decoded. */
async function refused(promise) {
  let answer;
  try {
    answer = await promise;
  } catch (error) {
    return { code: error.code, ...details(error) };
  }
  throw new Error(`not refused: ${JSON.stringify(answer)}`);
}

/** Decodes the trailer that carries google.rpc.Status, by the name of each detail. */
function details(error) {
  const [trailer] = error.metadata.get('grpc-status-details-bin');
  if (trailer === undefined) throw new Error(`no details in ${error}`);
  const status = definitions['google.rpc.Status'].deserialize(trailer);
  const decoded = {};
  for (const { type_url: url, value } of status.details) {
    const name = url.split('/')[1];
    decoded[name.split('.').at(-1)] = definitions[name].deserialize(value);
  }
  return decoded;
}

/** An event that breaks no rule. */
function simple(stream, title, fields = {}) {
  const kind = { type: 'org.example.note.v1' };
  const state = { modality: 'ACTUAL', assertion: 'RECORDED' };
  return { stream, title, valid_time: { edtf: '2024-05-22' }, ...state, custom: kind, ...fields };
}

module.exports = { call, client, details, grpc, refused, simple };
