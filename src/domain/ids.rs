//! Names of things: events, streams, stores.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

/// Identifies one event for ever; the idempotency key of its append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(Uuid);

/// Says why a text is not an event id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a UUID in its 36-character form, for example 018f9ee2-9300-7001-8061-6e6e616c7301")]
pub struct EventIdError;

impl EventId {
    /// Reads the hyphenated form; upper and lower case are the same id. Any UUID version but nil.
    ///
    /// # Errors
    /// [`EventIdError`] when the text is anything else.
    pub fn parse(text: &str) -> Result<Self, EventIdError> {
        if text.len() != 36 {
            return Err(EventIdError);
        }
        let id = Uuid::try_parse(text).map_err(|_| EventIdError)?;
        if id.is_nil() {
            return Err(EventIdError);
        }
        Ok(Self(id))
    }

    /// Takes a UUID made elsewhere.
    #[must_use]
    pub const fn from_uuid(id: Uuid) -> Self {
        Self(id)
    }

    /// Takes the 16 bytes of a UUID, most significant first.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Gives the 16 bytes of the UUID, most significant first.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// Longest stream name, in bytes.
pub const STREAM_NAME_BYTES_MAX: usize = 200;

/// Names an ordered run of events, for example `agreement/gb-al-returns`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamName(Arc<str>);

/// Says why a text is not a stream name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamNameError {
    /// Nothing there.
    #[error("must not be empty")]
    Empty,
    /// More than [`STREAM_NAME_BYTES_MAX`] bytes.
    #[error("must have at most 200 bytes")]
    TooLong,
    /// `$` begins the names that the service keeps for itself.
    #[error("must not begin with $: such names are reserved")]
    Reserved,
    /// A character outside the allowed set, or a bad first one.
    #[error("must begin with a letter or digit and hold only letters, digits and . _ / -")]
    Character,
    /// `//` or a `/` at the end.
    #[error("must not hold // or end with /: a part between slashes would be empty")]
    EmptyPart,
}

/// Begins the names of the server's own streams.
const RESERVED: char = '$';

impl StreamName {
    /// Reads a name: 1–200 bytes of ASCII letters, digits, `.`, `_`, `-` and `/`, beginning with a
    /// letter or digit, no part between slashes empty. Case matters.
    ///
    /// # Errors
    /// The first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, StreamNameError> {
        if text.starts_with(RESERVED) {
            return Err(StreamNameError::Reserved);
        }
        Self::parse_any(text)
    }

    /// Gives the name that an identifier spells, its `:` written `/`: `agreement:gb-al` spells `agreement/gb-al`.
    #[must_use]
    pub fn spelled_by(id: &str) -> Option<Self> {
        Self::parse(&id.replace(':', "/")).ok()
    }

    /// Reads a name of a client's or, beginning with `$`, of the server's own.
    ///
    /// # Errors
    /// The first rule that the text breaks.
    pub fn parse_any(text: &str) -> Result<Self, StreamNameError> {
        if text.len() > STREAM_NAME_BYTES_MAX {
            return Err(StreamNameError::TooLong);
        }
        Self::check(text.strip_prefix(RESERVED).unwrap_or(text))?;
        Ok(Self(Arc::from(text)))
    }

    fn check(text: &str) -> Result<(), StreamNameError> {
        let first = text.bytes().next().ok_or(StreamNameError::Empty)?;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'/' | b'-');
        if !first.is_ascii_alphanumeric() || !text.bytes().all(allowed) {
            return Err(StreamNameError::Character);
        }
        if text.contains("//") || text.ends_with('/') {
            return Err(StreamNameError::EmptyPart);
        }
        Ok(())
    }

    /// Tells whether the stream is one of the server's own. Its events can be read and followed, and are no entries of
    /// timelines.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with(RESERVED)
    }

    /// Takes a name that was checked when it was recorded.
    #[must_use]
    pub fn from_recorded(text: &str) -> Self {
        Self(Arc::from(text))
    }

    /// Gives the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Gives each prefix that ends before a `/`, shortest first: `a/b/c` has `a` and `a/b`.
    pub fn categories(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').filter_map(|(at, _)| self.0.get(..at))
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Identifies one store, so that a cursor of another store is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoreId(Uuid);

impl StoreId {
    /// Takes a UUID made elsewhere.
    #[must_use]
    pub const fn from_uuid(id: Uuid) -> Self {
        Self(id)
    }

    /// Reads the hyphenated form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }

    /// Gives the 16 bytes of the UUID, most significant first.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_name_is_refused_by_the_rule_it_breaks() {
        let cases = [
            ("", Some(StreamNameError::Empty)),
            ("agreement/gb-al-returns", None),
            ("activity/XM-DAC-41121-2016", None),
            ("series/arrivals/_T", None),
            ("$timelines/x", Some(StreamNameError::Reserved)),
            ("/x", Some(StreamNameError::Character)),
            ("a b", Some(StreamNameError::Character)),
            ("é", Some(StreamNameError::Character)),
            ("a//b", Some(StreamNameError::EmptyPart)),
            ("a/", Some(StreamNameError::EmptyPart)),
        ];
        for (text, expected) in cases {
            assert_eq!(StreamName::parse(text).err(), expected, "{text}");
        }
        assert_eq!(StreamName::parse(&"a".repeat(201)).err(), Some(StreamNameError::TooLong));
    }

    #[test]
    fn categories_are_the_parts_before_each_slash() {
        let name = StreamName::parse("a/b/c").unwrap();
        assert_eq!(name.categories().collect::<Vec<_>>(), ["a", "a/b"]);
    }

    #[test]
    fn an_event_id_is_a_uuid_in_full() {
        assert!(EventId::parse("018f9ee2-9300-7001-8061-6e6e616c7301").is_ok());
        for bad in ["", "018f9ee2930070018061", "00000000-0000-0000-0000-000000000000", "x"] {
            assert!(EventId::parse(bad).is_err(), "{bad}");
        }
    }
}
