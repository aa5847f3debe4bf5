use super::*;

fn check_reference(text: &str, expected: bool) {
    assert_eq!(is_absolute_reference(text), expected, "{text:?}");
}

fn check_tag(text: &str, expected: bool) {
    assert_eq!(is_language_tag(text), expected, "{text:?}");
}

#[test]
fn accepts_web_addresses() {
    for text in [
        "https://www.gov.uk/government/news/x?y=1#z",
        "HTTP://example.org",
        "http://example.org:8080/a%20b",
        "https://[2001:db8::1]/",
        "https://münchen.example/straße",
    ] {
        check_reference(text, true);
    }
}

#[test]
fn refuses_other_web_addresses() {
    for text in [
        "",
        "https:",
        "https://",
        "https:///path",
        "https:example.org",
        "https:/example.org",
        "https:\\\\example.org",
        "https://exa mple.org",
        " https://example.org",
        "https://example.org/\n",
        "https://example.org:99999/",
        "//example.org",
        "/path",
        "example.org",
        "ftp://example.org/",
        "mailto:a@example.org",
        "javascript:alert(1)",
        "file:///etc/hosts",
    ] {
        check_reference(text, false);
    }
}

#[test]
fn tells_urns_from_others() {
    for text in [
        "urn:isbn:9780141036144",
        "URN:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
        "urn:lex:al:ligj:2022-12-13;42",
        "urn:example:a%20b/c",
        "urn:example:a?+resolve?=query#part/1",
        "urn:example:a?=q",
        "urn:example:a#",
    ] {
        check_reference(text, true);
    }
    for text in [
        "urn:",
        "urn:isbn",
        "urn:isbn:",
        "urn:a:b",
        "urn:-ab:c",
        "urn:ab-:c",
        "urn:a_b:c",
        "urn:abcdefghijabcdefghijabcdefghijabc:x",
        "urn:example:a%2",
        "urn:example:a%zz",
        "urn:example:/a",
        "urn:example:ü",
        "urn:example:a?b",
        "urn:example:a?=",
        "urn:example:a#b#c",
        "urn:example:a b",
    ] {
        check_reference(text, false);
    }
}

#[test]
fn tells_dois_from_others() {
    for text in ["doi:10.1000/182", "DOI:10.1000.10/123456", "doi:10.1007/s42001-025-00368-7"] {
        check_reference(text, true);
    }
    for text in [
        "doi:10.1000",
        "doi:10.1000/",
        "doi:10./182",
        "doi:10.1000./182",
        "doi:11.1000/182",
        "doi:10.x/182",
        "doi:10.1000/1 82",
        "10.1000/182",
    ] {
        check_reference(text, false);
    }
}

#[test]
fn accepts_well_formed_language_tags() {
    // Mostly the examples of RFC 5646, appendix A.
    for text in [
        "de",
        "sq",
        "EN-gb",
        "i-enochian",
        "zh-Hant",
        "zh-cmn-Hans-CN",
        "sr-Latn-RS",
        "sl-rozaj-biske",
        "de-CH-1901",
        "hy-Latn-IT-arevela",
        "es-419",
        "de-CH-x-phonebk",
        "az-Arab-x-AZE-derbend",
        "x-whatever",
        "qaa-Qaaa-QM-x-southern",
        "en-US-u-islamcal",
        "zh-CN-a-myext-x-private",
        "en-a-myext-b-another",
        "en-GB-oed",
        "sgn-BE-FR",
        "zh-min-nan",
        "art-lojban",
        "cel-gaulish",
        "no-bok",
        "en-x-a-b-1",
        "en-a-bcd-1996-b-cd-x-y",
        "abcd",
        "abcdefgh",
    ] {
        check_tag(text, true);
    }
}

#[test]
fn refuses_ill_formed_language_tags() {
    for text in [
        "",
        "a",
        "1",
        "a-DE",
        "abcdefghi",
        "de-",
        "-de",
        "de--CH",
        "de_CH",
        "de-419-DE",
        "de-DE-FR",
        "en-Latn-Cyrl",
        "en-abc-def-ghi-jkl",
        "abcd-efg",
        "en-a",
        "en-a-b",
        "en-x",
        "x",
        "x-abcdefghi",
        "i-unknown",
        "en-12",
        "e1",
        "en GB",
        "en-ü",
        "12-x-a",
        "1996-x-a",
        "a-bcd-x-e",
        "en-a-bcd-x",
        "en-a-bcd-1996-b",
        "en-x-",
        "de-1996-Latn",
    ] {
        check_tag(text, false);
    }
}
