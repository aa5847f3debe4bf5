//! Annals: an event-sourced timeline service.
//!
//! Read in this order: [`domain`] (what an event is), [`journal`] (how it is kept), [`index`] (how it is found),
//! [`log`] (how it is written), [`timeline`], [`projection`] and [`subscription`] (how it is asked), [`wire`], [`service`],
//! [`server`] (how it is served), [`cli`]. `ARCHITECTURE.md` has the map.

pub mod bench;
pub mod cli;
pub mod clock;
pub mod codec;
pub mod domain;
pub mod filter;
pub mod index;
pub mod journal;
pub mod log;
pub mod pb;
pub mod projection;
pub mod proof;
pub mod search;
pub mod seeded;
pub mod server;
pub mod service;
pub mod subscription;
pub mod timeline;
pub mod wire;
