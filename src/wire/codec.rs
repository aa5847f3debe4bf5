//! codec
pub use tonic_prost::ProstCodec as FieldCodec;
