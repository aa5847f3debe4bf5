//! References to sources, and language tags.

use url::Url;

/// Says whether the text names a source by itself: an absolute http or https URL with a host, a
/// `urn:` of RFC 8141, or a `doi:10.…`.
#[must_use]
pub fn is_absolute_reference(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    // A URL parser repairs these silently, so that the stored text is not what was checked.
    if text.chars().any(|found| found.is_whitespace() || found.is_control() || found == '\\') {
        return false;
    }
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => is_web_address(text, rest),
        "urn" => is_urn(rest),
        "doi" => is_doi(rest),
        _ => false,
    }
}

/// Says whether the text is a well-formed language tag by the grammar of RFC 5646, section 2.1.
///
/// Whether the subtags are registered is not looked at.
#[must_use]
pub fn is_language_tag(text: &str) -> bool {
    if IRREGULAR.iter().any(|tag| tag.eq_ignore_ascii_case(text)) {
        return true;
    }
    let subtags: Vec<&str> = text.split('-').collect();
    let well_shaped = |subtag: &&str| {
        (1..=8).contains(&subtag.len()) && subtag.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    if !subtags.iter().all(well_shaped) {
        return false;
    }
    let Some(rest) = after_language(&subtags) else {
        return is_private_use(&subtags);
    };
    let mut rest = skip_while(after_script_and_region(rest), usize::MAX, is_variant);
    while !rest.is_empty() && !is_private_use(rest) {
        let Some(after) = after_extension(rest) else {
            return false;
        };
        rest = after;
    }
    true
}

/// Tags of RFC 5646, section 2.2.8, that were registered before the grammar and do not fit it.
/// The other grandfathered tags fit it.
static IRREGULAR: [&str; 17] = [
    "en-GB-oed",
    "i-ami",
    "i-bnn",
    "i-default",
    "i-enochian",
    "i-hak",
    "i-klingon",
    "i-lux",
    "i-mingo",
    "i-navajo",
    "i-pwn",
    "i-tao",
    "i-tay",
    "i-tsu",
    "sgn-BE-FR",
    "sgn-BE-NL",
    "sgn-CH-DE",
];

fn is_web_address(text: &str, rest: &str) -> bool {
    // A URL parser takes http:host and http:///host for http://host.
    let host_follows = rest.strip_prefix("//").is_some_and(|host| !host.starts_with('/'));
    host_follows && Url::parse(text).is_ok_and(|url| url.has_host())
}

/// RFC 8141, section 2: `NID ":" NSS [ "?+" r ] [ "?=" q ] [ "#" f ]`.
fn is_urn(rest: &str) -> bool {
    let Some((namespace, rest)) = rest.split_once(':') else {
        return false;
    };
    let namespace_fits = (2..=32).contains(&namespace.len())
        && namespace.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !namespace.starts_with('-')
        && !namespace.ends_with('-');
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (specific, components) = rest.split_once('?').map_or((rest, None), |(head, tail)| (head, Some(tail)));
    let components_fit = components.is_none_or(|tail| {
        tail.strip_prefix(['+', '='])
            .is_some_and(|value| !value.starts_with(['/', '?']) && is_path(value, "/?"))
    });
    namespace_fits
        && !specific.starts_with('/')
        && is_path(specific, "/")
        && components_fit
        && (fragment.is_empty() || is_path(fragment, "/?"))
}

/// Says whether the text is one or more `pchar` of RFC 3986 or characters of `also`.
fn is_path(text: &str, also: &str) -> bool {
    let mut rest = text.chars();
    while let Some(found) = rest.next() {
        let fits = found.is_ascii_alphanumeric()
            || "-._~!$&'()*+,;=:@".contains(found)
            || also.contains(found)
            || (found == '%' && rest.by_ref().take(2).filter(char::is_ascii_hexdigit).count() == 2);
        if !fits {
            return false;
        }
    }
    !text.is_empty()
}

/// `10.`, the registrant's number with optional parts, `/`, any suffix.
fn is_doi(rest: &str) -> bool {
    let Some((registrant, suffix)) = rest.strip_prefix("10.").and_then(|rest| rest.split_once('/')) else {
        return false;
    };
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    registrant.split('.').all(is_number) && !suffix.is_empty()
}

/// Gives the subtags after the language and its extended language subtags, if there is one.
fn after_language<'a, 'b>(subtags: &'a [&'b str]) -> Option<&'a [&'b str]> {
    let (language, rest) = subtags.split_first()?;
    match language.len() {
        2 | 3 if is_alphabetic(language) => {
            Some(skip_while(rest, 3, |subtag| subtag.len() == 3 && is_alphabetic(subtag)))
        }
        4..=8 if is_alphabetic(language) => Some(rest),
        _ => None,
    }
}

fn after_script_and_region<'a, 'b>(subtags: &'a [&'b str]) -> &'a [&'b str] {
    let rest = skip_while(subtags, 1, |subtag| subtag.len() == 4 && is_alphabetic(subtag));
    skip_while(rest, 1, |subtag| {
        (subtag.len() == 2 && is_alphabetic(subtag))
            || (subtag.len() == 3 && subtag.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

/// Says whether the subtags are `x` and at least one more.
fn is_private_use(subtags: &[&str]) -> bool {
    subtags.len() >= 2 && subtags.first().is_some_and(|subtag| subtag.eq_ignore_ascii_case("x"))
}

/// Gives the subtags after one extension: a single character that is not x, and at least one
/// longer subtag.
fn after_extension<'a, 'b>(subtags: &'a [&'b str]) -> Option<&'a [&'b str]> {
    let (singleton, more) = subtags.split_first()?;
    if singleton.len() != 1 || singleton.eq_ignore_ascii_case("x") {
        return None;
    }
    let after = skip_while(more, usize::MAX, |subtag| subtag.len() >= 2);
    (after.len() < more.len()).then_some(after)
}

fn is_variant(subtag: &str) -> bool {
    subtag.len() >= 5 || (subtag.len() == 4 && subtag.starts_with(|first: char| first.is_ascii_digit()))
}

fn is_alphabetic(subtag: &str) -> bool {
    subtag.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// Drops from the front as many subtags as `wanted` accepts in a row, at most `most`.
fn skip_while<'a, 'b>(subtags: &'a [&'b str], most: usize, wanted: impl Fn(&str) -> bool) -> &'a [&'b str] {
    let count = subtags.iter().take(most).take_while(|subtag| wanted(subtag)).count();
    subtags.get(count..).unwrap_or_default()
}

#[cfg(test)]
mod tests;
