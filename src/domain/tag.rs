//! Short identifiers that clients choose: tags, types of custom payloads, SDMX dataflows.

/// Longest tag, in bytes.
pub const TAG_BYTES_MAX: usize = 64;

/// Says whether the text is a tag: 1 to 64 of `a` to `z`, `0` to `9` and `-`.
#[must_use]
pub fn is_tag(text: &str) -> bool {
    text.len() <= TAG_BYTES_MAX
        && all(text, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Longest id of a saved timeline, in bytes.
pub const TIMELINE_ID_BYTES_MAX: usize = 63;

/// Says whether the text is an id of a saved timeline: 1 to 63 of `a` to `z`, `0` to `9` and `-`.
#[must_use]
pub fn is_timeline_id(text: &str) -> bool {
    text.len() <= TIMELINE_ID_BYTES_MAX && is_tag(text)
}

/// Says whether the text is a domain name in reverse and a version, for example
/// `org.annals.facility_opening.v1`.
///
/// At least three labels of `a` to `z`, `0` to `9`, `_` and `-`; the last is `v` and a number.
#[must_use]
pub fn is_custom_type(text: &str) -> bool {
    let is_label = |label: &str| {
        all(label, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-'))
    };
    let Some((names, version)) = text.rsplit_once('.') else {
        return false;
    };
    names.contains('.')
        && names.split('.').all(is_label)
        && version.strip_prefix('v').is_some_and(|number| all(number, |byte| byte.is_ascii_digit()))
}

/// Says whether the text refers to one version of an SDMX dataflow: `AGENCY:ID(VERSION)`, for
/// example `GB.HO:IRREGULAR_MIGRATION(1.0)`.
///
/// Wildcards such as `*`, `+` and `~` name more than one version and are refused.
#[must_use]
pub fn is_dataflow(text: &str) -> bool {
    let Some((agency, rest)) = text.split_once(':') else {
        return false;
    };
    let Some((id, version)) = rest.strip_suffix(')').and_then(|rest| rest.split_once('(')) else {
        return false;
    };
    // SDMX NestedNCNameIDType: parts separated by points, each starting with a letter.
    let is_agency_part = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphabetic())
            && all(part, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    agency.split('.').all(is_agency_part)
        // SDMX IDType.
        && all(id, |byte| byte.is_ascii_alphanumeric() || b"_@$-".contains(&byte))
        && is_version(version)
}

/// One to three numbers; after three also `-` and a suffix, as in semantic versioning.
fn is_version(text: &str) -> bool {
    let (numbers, suffix) =
        text.split_once('-').map_or((text, None), |(numbers, suffix)| (numbers, Some(suffix)));
    let parts = numbers.split('.').count();
    let suffix_fits = suffix.is_none_or(|suffix| {
        parts == 3
            && suffix.split('.').all(|part| all(part, |byte| byte.is_ascii_alphanumeric() || byte == b'-'))
    });
    parts <= 3 && numbers.split('.').all(|number| all(number, |byte| byte.is_ascii_digit())) && suffix_fits
}

/// Says whether the text has at least one byte, and all bytes are `wanted`.
fn all(text: &str, wanted: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(predicate: fn(&str) -> bool, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(predicate(text), "refused {text:?}");
        }
        for text in bad {
            assert!(!predicate(text), "accepted {text:?}");
        }
    }

    #[test]
    fn tells_tags_from_others() {
        let longest = "a".repeat(TAG_BYTES_MAX);
        let too_long = "a".repeat(TAG_BYTES_MAX + 1);
        check(
            is_tag,
            &["a", "7", "migration", "gb-al-2024", "-", &longest],
            &["", "A", "a_b", "a b", "a.b", "ë", "a\n", &too_long],
        );
    }

    #[test]
    fn tells_custom_types_from_others() {
        check(
            is_custom_type,
            &["org.annals.facility_opening.v1", "org.x.v0", "uk.gov.home-office.x.v12"],
            &[
                "",
                "v1",
                "org.v1",
                "org.annals.opening",
                "org.annals.opening.v",
                "org.annals.opening.1",
                "org.annals.opening.v1x",
                "org.annals.opening.V1",
                "org.annals.opening.v1.",
                "org..opening.v1",
                ".annals.opening.v1",
                "org.Annals.opening.v1",
                "org.annals opening.v1",
                "org.annals.öffnung.v1",
            ],
        );
    }

    #[test]
    fn tells_dataflows_from_others() {
        check(
            is_dataflow,
            &[
                "GB.HO:IRREGULAR_MIGRATION(1.0)",
                "ECB:EXR(1.0)",
                "SDMX:CL_FREQ(2)",
                "IMF.STA:BOP-A@x$(1.2.3)",
                "ESTAT:t1(1.0.0-draft.2)",
                "ESTAT:t1(1.0.0-a-b)",
                "A:1(10.20.30)",
            ],
            &[
                "",
                "ECB:EXR",
                "ECB:EXR()",
                "ECB(1.0)",
                "EXR(1.0)",
                ":EXR(1.0)",
                "ECB:(1.0)",
                "ECB:EXR(1.0",
                "ECB:EXR(1.0))",
                "ECB:EXR(1.0) ",
                "ECB:EXR((1.0)",
                "ECB:EXR(*)",
                "ECB:EXR(~)",
                "ECB:EXR(1.0+)",
                "ECB:EXR(1+.0.0)",
                "ECB:EXR(latest)",
                "ECB:EXR(1.)",
                "ECB:EXR(.1)",
                "ECB:EXR(1.0.0.0)",
                "ECB:EXR(1.0-draft)",
                "ECB:EXR(1.0.0-)",
                "ECB:EXR(1.0.0-a..b)",
                "ECB.:EXR(1.0)",
                "1CB:EXR(1.0)",
                "E CB:EXR(1.0)",
                "ECB:EXR:A(1.0)",
                "ECB:E.R(1.0)",
                "ECB:ËXR(1.0)",
            ],
        );
    }
}
