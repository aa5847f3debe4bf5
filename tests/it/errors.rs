//! The error catalogue: every reason documented, and the document generated from the API itself.

use annals::pb::ErrorReason;
use expect_test::expect_file;
use prost_reflect::DescriptorPool;

/// Gives each reason with its comment.
fn catalogue() -> Vec<(String, String)> {
    let pool = DescriptorPool::decode(annals::pb::FILE_DESCRIPTOR_SET).unwrap();
    let reasons = pool.get_enum_by_name("annals.v1.ErrorReason").unwrap();
    let file = reasons.parent_file();
    let info = file.file_descriptor_proto().source_code_info.clone().unwrap();
    let comment = |path: &[i32]| {
        let location = info.location.iter().find(|location| location.path == path);
        location.map(|location| location.leading_comments().trim().to_owned()).unwrap_or_default()
    };
    let values = reasons.values().enumerate();
    values
        .map(|(index, value)| (value.name().to_owned(), comment(&[5, 0, 2, i32::try_from(index).unwrap()])))
        .collect()
}

#[test]
fn the_document_of_errors_is_that_of_the_api() {
    let mut text = String::from(
        "# Errors\n\n\
        Every error of the Annals services carries a `google.rpc.ErrorInfo` with one of these reasons, in the\n\
        domain `annals.v1`. What never reaches them has none: an unknown method, an unknown compression, a broken\n\
        connection, and errors of the health and reflection services.\n\
        This page is generated from `proto/annals/v1/error_reason.proto`; `annals explain REASON` prints the same.\n",
    );
    for (name, comment) in catalogue().iter().skip(1) {
        text.push_str(&format!("\n## {name}\n\n"));
        for line in comment.lines() {
            text.push_str(line.trim());
            text.push_str("  \n");
        }
    }
    expect_file!["../../docs/errors.md"].assert_eq(&text);
}

#[test]
fn every_reason_says_its_code_what_to_do_and_whether_to_retry() {
    for (name, comment) in catalogue().iter().skip(1) {
        let code = comment.split('.').next().unwrap();
        assert!(code.chars().all(|c| c.is_ascii_uppercase() || c == '_'), "{name}: {code}");
        assert!(comment.contains("Retry:"), "{name} does not say whether to retry");
        assert!(ErrorReason::from_str_name(name).is_some());
    }
}
