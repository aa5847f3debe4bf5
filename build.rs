//! Compiles `proto/` into `OUT_DIR`, without `protoc` and without writing to `src/`.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost_types::FileDescriptorSet;
use prost_types::field_descriptor_proto::Type;

/// Messages, and which of their fields stay encoded.
const ENCODED: [(&str, &str); 4] = [
    ("EventBatch", "events"),
    ("AppendEventsRequest", "events"),
    ("AppendStreamRequest", "events"),
    ("Entry", "event"),
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let mut files: Vec<PathBuf> = fs::read_dir("proto/annals/v1")?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "proto"));
    files.sort();
    files.push(PathBuf::from("proto/annals/storage/v1/stored.proto"));
    let generated = files.clone();
    // Error details are in no request or response, but reflection must know them, or grpcurl
    // prints them as base64.
    files.push(PathBuf::from("proto/google/rpc/error_details.proto"));

    let mut compiler = protox::Compiler::new([Path::new("proto")])?;
    // Comments go into the descriptors for `grpcurl describe`, `annals explain` and rustdoc.
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files(&files)?;
    // The encoded form keeps custom options, which prost's structs would drop.
    fs::write(out.join("annals_v1.bin"), compiler.encode_file_descriptor_set())?;

    let mut compiler = protox::Compiler::new([Path::new("proto")])?;
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files(&generated)?;
    // Names let the decoder find the descriptor of what it decodes.
    let mut messages = tonic_prost_build::Config::new();
    messages.enable_type_names();
    tonic_prost_build::configure()
        // Sorted maps: the same event has the same bytes, hence the same digest.
        .btree_map(".")
        .bytes(".annals")
        .codec_path("crate::wire::codec::FieldCodec")
        .include_file("annals.rs")
        .compile_fds_with_config(with_encoded_events(compiler.file_descriptor_set()), messages)?;
    Ok(())
}

/// Leaves the events of batches and entries encoded, in the generated structs alone: a message and bytes are written alike.
/// What is recorded is copied to clients, and both sides decode events one at a time: the parts of a hundred events would
/// lie in a megabyte of memory that no cache holds until the last is read.
fn with_encoded_events(mut files: FileDescriptorSet) -> FileDescriptorSet {
    let messages = files.file.iter_mut().flat_map(|file| &mut file.message_type);
    for message in messages {
        let name = message.name().to_owned();
        for field in &mut message.field {
            if ENCODED.contains(&(&name, field.name())) {
                field.set_type(Type::Bytes);
                field.type_name = None;
            }
        }
    }
    files
}
