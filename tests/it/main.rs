//! The one integration binary: the real program over a real socket, the library against its reference model,
//! and the rules of the house.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    reason = "a test says what it expects by failing"
)]

mod agreements;
mod append;
mod append_stream;
mod backup;
mod clients;
mod damage;
mod data;
mod diff;
mod disk;
mod erase;
mod errors;
mod events;
mod faults;
mod followers;
mod funding;
mod fuzz_corpus;
mod generate;
mod golden;
mod guide;
mod harness;
mod malformed;
mod model;
mod model_agreement;
mod model_series;
mod proof;
mod provenance;
mod random;
mod random_agreements;
mod random_diff;
mod random_funding;
mod random_provenance;
mod random_series;
mod random_visits;
mod roundtrip;
mod saved;
mod seeds;
mod series;
mod series_article;
mod series_cli;
mod series_gdp;
mod server;
mod subscribe;
mod text;
mod tidy;
mod timeline;
mod tools;
mod unchanged;
mod visits;
mod watch;
