//! Sources, quotes, links, codes, caveats.

use super::check::{
    self, ID_CHARS_MAX, TEXT_CHARS_MAX, line, lines, optional_number, required_line, required_number,
};
use super::entity::{external_id, optional_entity};
use super::time;
use crate::domain::uri::{is_absolute_reference, is_language_tag};
use crate::domain::{EventId, Findings, Link, LinkTarget, LinkType, Shape, Source, StreamName, quote_length};
use crate::pb;

/// Reads sources.
pub fn sources(findings: &mut Findings, found: &mut [pb::Source]) -> Vec<Source> {
    let read = found
        .iter_mut()
        .enumerate()
        .map(|(index, found)| findings.at_index("sources", index, |f| source(f, found)));
    read.collect()
}

fn source(findings: &mut Findings, found: &mut pb::Source) -> Source {
    line(findings, "id", &found.id, ID_CHARS_MAX);
    optional_number(findings, "type", found.r#type, |n| pb::SourceType::try_from(n).ok());
    line(findings, "title", &found.title, TEXT_CHARS_MAX);
    lines(findings, "authors", &found.authors, TEXT_CHARS_MAX);
    for (field, url) in [("url", &found.url), ("archive_url", &found.archive_url)] {
        line(findings, field, url, TEXT_CHARS_MAX);
        if !url.is_empty() && !is_absolute_reference(url) {
            findings.violation_at(field, "must be an absolute http or https URL, a urn: or a doi:");
        }
    }
    if !matches!(found.content_sha256.len(), 0 | 32) {
        let bytes = found.content_sha256.len();
        findings.violation_at("content_sha256", format_args!("must have 32 bytes, has {bytes}"));
    }
    language(findings, &found.language);
    line(findings, "licence", &found.licence, TEXT_CHARS_MAX);
    lines(findings, "supports", &found.supports, TEXT_CHARS_MAX);
    for (index, path) in found.supports.iter().enumerate() {
        if !is_event_path(path) {
            findings.at_index("supports", index, |f| f.violation("is no path of a field of the event"));
        }
    }
    let attributed_to = found.attribution.iter().enumerate().filter_map(|(index, attribution)| {
        findings.at_index("attribution", index, |f| {
            optional_number(f, "kind", attribution.kind, |n| pb::attribution::Kind::try_from(n).ok());
            check::prose(f, "wording", &attribution.wording);
            optional_entity(f, "by", attribution.by.as_ref())
        })
    });
    let attributed_to = attributed_to.collect();
    Source {
        id: found.id.clone(),
        attributed_to,
        publisher: optional_entity(findings, "publisher", found.publisher.as_ref()),
        published: time::span(findings, "published", found.published.as_mut(), Shape::Instant),
        retrieved_at: check::moment(findings, "retrieved_at", found.retrieved_at.as_ref()),
        quote: found.quote.as_ref().map(|found| findings.at("quote", |f| quote(f, found))),
    }
}

/// Tells whether a path begins with a field of the event; the rest depends on data.
fn is_event_path(path: &str) -> bool {
    const FIELDS: &[&str] = &[
        "agreement",
        "assertion",
        "attributes",
        "causation_id",
        "codes",
        "confidence",
        "correlation_id",
        "custom",
        "funding_transfer",
        "known_at",
        "language",
        "links",
        "modality",
        "participants",
        "places",
        "statement",
        "statistical_release",
        "stream",
        "summary",
        "tags",
        "title",
        "valid_time",
        "visit",
    ];
    let first = path.split(['.', '[']).next().unwrap_or_default();
    FIELDS.contains(&first)
}

fn quote(findings: &mut Findings, found: &pb::Quote) -> String {
    required_line_or_prose(findings, &found.exact);
    check::prose(findings, "prefix", &found.prefix);
    check::prose(findings, "suffix", &found.suffix);
    if (found.start, found.end) != (0, 0) {
        let length = quote_length(&found.exact);
        if found.end <= found.start {
            findings.violation_at("end", "must be greater than start");
        } else if u64::from(found.end - found.start) != length {
            let span = found.end - found.start;
            findings.violation_at(
                "end",
                format_args!("is {span} after start, but exact has {length} characters"),
            );
        }
    }
    found.exact.clone()
}

fn required_line_or_prose(findings: &mut Findings, exact: &str) {
    if exact.is_empty() {
        findings.violation_at("exact", "must be set");
    } else {
        check::prose(findings, "exact", exact);
    }
}

/// Checks a language tag at `language`.
pub fn language(findings: &mut Findings, tag: &str) {
    if !tag.is_empty() && !is_language_tag(tag) {
        findings.violation_at("language", "must be a BCP 47 tag, for example en-GB");
    }
}

/// Reads links.
pub fn links(findings: &mut Findings, field: &'static str, found: &mut [pb::Link]) -> Vec<Link> {
    let read = found
        .iter_mut()
        .enumerate()
        .filter_map(|(index, found)| findings.at_index(field, index, |f| link(f, found)));
    read.collect()
}

fn link(findings: &mut Findings, found: &mut pb::Link) -> Option<Link> {
    check::prose(findings, "note", &found.note);
    let link_type = required_number(findings, "type", found.r#type, LinkType::from_number);
    let targets = [!found.event_id.is_empty(), !found.stream.is_empty(), found.external.is_some()]
        .into_iter()
        .filter(|set| *set);
    if targets.count() != 1 {
        findings.violation("must have exactly one of event_id, stream and external");
        return None;
    }
    let target = if let Some(external) = &found.external {
        findings.at("external", |f| external_id(f, external));
        LinkTarget::External
    } else if found.stream.is_empty() {
        match EventId::parse(&found.event_id) {
            Ok(id) => {
                // One spelling, so that equal events have equal bytes.
                found.event_id = id.to_string();
                LinkTarget::Event(id)
            }
            Err(error) => {
                findings.violation_at("event_id", error);
                return None;
            }
        }
    } else {
        if let Err(error) = StreamName::parse(&found.stream) {
            findings.violation_at("stream", error);
        }
        LinkTarget::Stream(found.stream.clone())
    };
    Some(Link { link_type: link_type?, target })
}

/// Checks codes of other vocabularies.
pub fn codes(findings: &mut Findings, field: &'static str, found: &[pb::Code]) {
    for (index, code) in found.iter().enumerate() {
        findings.at_index(field, index, |f| {
            required_line(f, "scheme", &code.scheme, ID_CHARS_MAX);
            required_line(f, "value", &code.value, TEXT_CHARS_MAX);
            line(f, "label", &code.label, TEXT_CHARS_MAX);
            if !code.weight.is_finite() {
                f.violation_at("weight", "must be a finite number");
            }
        });
    }
}

/// Checks the recorder's own remarks.
pub fn caveats(findings: &mut Findings, found: &[pb::Caveat]) {
    for (index, caveat) in found.iter().enumerate() {
        findings.at_index("caveats", index, |f| {
            line(f, "field", &caveat.field, TEXT_CHARS_MAX);
            check::prose(f, "text", &caveat.text);
            optional_number(f, "code", caveat.code, |n| pb::CaveatCode::try_from(n).ok());
        });
    }
}
