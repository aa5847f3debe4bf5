//! Funding over gRPC: known answers of real data.
