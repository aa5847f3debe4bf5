// Checks an answer of GetLogProof without annals: Node's SHA-256 and Ed25519, RFC 9162 sections 2.1.3.2 and 2.1.4.2.
//
//   node check_proof.js PROOF.json VERIFIER_KEY [KEPT_CHECKPOINT]
'use strict';

const crypto = require('crypto');
const fs = require('fs');

const sha256 = (...parts) => crypto.createHash('sha256').update(Buffer.concat(parts)).digest();
const node = (left, right) => sha256(Buffer.from([1]), left, right);

function fail(why) {
  console.log(why);
  process.exit(1);
}

// C2SP signed-note and tlog-checkpoint.
function open(note, key) {
  // Base64 may hold a plus sign, too: only the first two separate.
  const [, name, id, encoded] = key.match(/^([^+]+)\+(.{8})\+(.*)$/) ?? fail('the key is damaged');
  const bytes = Buffer.from(encoded, 'base64');
  if (sha256(Buffer.from(`${name}\n`), bytes).subarray(0, 4).toString('hex') !== id) fail('the key is damaged');
  const at = note.lastIndexOf('\n\n') + 1;
  const text = note.slice(0, at);
  const line = note.slice(at + 1).split('\n').find((line) => line.startsWith(`\u2014 ${name} `));
  if (!line) fail('not signed by the key');
  const signature = Buffer.from(line.split(' ')[2], 'base64').subarray(4);
  // An Ed25519 key in the form that Node reads: RFC 8410.
  const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), bytes.subarray(1)]);
  const publicKey = crypto.createPublicKey({ key: der, format: 'der', type: 'spki' });
  if (!crypto.verify(null, Buffer.from(text), publicKey, signature)) fail('the signature is wrong');
  const [origin, size, root] = text.split('\n');
  if (origin !== name) fail('another log');
  return { size: BigInt(size), root: Buffer.from(root, 'base64') };
}

function checkInclusion(index, size, leaf, path, root) {
  if (index >= size) fail('no such leaf');
  let [fn, sn, r] = [index, size - 1n, leaf];
  for (const p of path) {
    if (sn === 0n) fail('the inclusion proof is too long');
    if (fn % 2n === 1n || fn === sn) {
      r = node(p, r);
      while (fn % 2n === 0n && fn !== 0n) [fn, sn] = [fn / 2n, sn / 2n];
    } else {
      r = node(r, p);
    }
    [fn, sn] = [fn / 2n, sn / 2n];
  }
  if (sn !== 0n || !r.equals(root)) fail('the event is not in the log');
}

function checkConsistency(first, size, path, firstRoot, root) {
  if (first === size) return firstRoot.equals(root) || fail('the history was rewritten');
  if (path.length === 0) fail('no consistency proof');
  const hashes = (first & (first - 1n)) === 0n ? [firstRoot, ...path] : path;
  let [fn, sn] = [first - 1n, size - 1n];
  while (fn % 2n === 1n) [fn, sn] = [fn / 2n, sn / 2n];
  let [fr, sr] = [hashes[0], hashes[0]];
  for (const c of hashes.slice(1)) {
    if (sn === 0n) fail('the consistency proof is too long');
    if (fn % 2n === 1n || fn === sn) {
      [fr, sr] = [node(c, fr), node(c, sr)];
      while (fn % 2n === 0n && fn !== 0n) [fn, sn] = [fn / 2n, sn / 2n];
    } else {
      sr = node(sr, c);
    }
    [fn, sn] = [fn / 2n, sn / 2n];
  }
  if (sn !== 0n || !fr.equals(firstRoot) || !sr.equals(root)) fail('the history was rewritten');
}

const [proofFile, key, keptFile] = process.argv.slice(2);
const proof = JSON.parse(fs.readFileSync(proofFile, 'utf8'));
const hashes = (texts) => (texts || []).map((text) => Buffer.from(text, 'hex'));
const state = open(proof.checkpoint, key);
const leafData = Buffer.from(proof.inclusion.leafData, 'base64');
const index = BigInt(proof.inclusion.leafIndex || 0);
if (leafData.readBigUInt64BE(16) !== index + 1n) fail('the leaf is of another position');
checkInclusion(index, state.size, sha256(Buffer.from([0]), leafData), hashes(proof.inclusion.hashes), state.root);
if (keptFile) {
  const kept = open(fs.readFileSync(keptFile, 'utf8'), key);
  checkConsistency(kept.size, state.size, hashes((proof.consistency || {}).hashes), kept.root, state.root);
}
const id = leafData.subarray(40, 56).toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
console.log(`event ${id} is at position ${index + 1n} of ${state.size}`);
