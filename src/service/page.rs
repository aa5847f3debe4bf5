//! Pages of answers, bounded in bytes.

use crate::wire::limits::RESPONSE_BYTES_MAX;

/// Collects items until a response is full; what does not fit goes on the next page.
#[derive(Debug)]
pub struct Page<T> {
    /// What was taken.
    pub items: Vec<T>,
    bytes: usize,
}

impl<T: prost::Message> Default for Page<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: prost::Message> Page<T> {
    /// Begins an empty page.
    #[must_use]
    pub const fn new() -> Self {
        Self { items: Vec::new(), bytes: 0 }
    }

    /// Adds an item; gives `false` if the page is full without it.
    pub fn push(&mut self, item: T) -> bool {
        self.bytes += item.encoded_len();
        if self.bytes > RESPONSE_BYTES_MAX && !self.items.is_empty() {
            return false;
        }
        self.items.push(item);
        true
    }
}
