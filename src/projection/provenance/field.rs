//! Which sources of an event support a field of it.

use crate::pb;

/// Tells whether one path leads to a field within the other, or to the same.
fn is_around(outer: &str, inner: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Gives the indexes of the sources that support a field; an empty path means the whole event.
#[must_use]
pub(super) fn supporting(event: &pb::Event, field: &str) -> Vec<usize> {
    let supports = |source: &pb::Source| {
        let all = field.is_empty() || source.supports.is_empty();
        all || source.supports.iter().any(|path| is_around(path, field) || is_around(field, path))
    };
    let sources = event.sources.iter().enumerate().filter(|(_, source)| supports(source));
    sources.map(|(index, _)| index).collect()
}

#[cfg(test)]
mod tests {
    use super::is_around;

    #[test]
    fn a_path_is_around_its_fields_and_items() {
        for inner in ["visit", "visit.stops", "visit[0]"] {
            assert!(is_around("visit", inner), "{inner}");
        }
        for inner in ["visits", "visi", "statement.visit", ""] {
            assert!(!is_around("visit", inner), "{inner}");
        }
    }
}
