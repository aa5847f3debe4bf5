//! `annals explain`: what an error means.

use clap::Args;
use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet};

use super::exit::Exit;
use super::failure::Failure;
use super::{Context, output};
use crate::pb::FILE_DESCRIPTOR_SET;

const EXAMPLES: &str = "\
Examples:
  annals explain                     every reason
  annals explain CONDITION_FAILED
  annals explain partial_replay

A reason stands in the errors of the server, as google.rpc.ErrorInfo.reason, and after the code in the errors of this \
program. What is printed is the documentation in the API itself.";

/// The enum of all reasons.
const ENUM: &str = "ErrorReason";
/// Field numbers on the way to a value's comment: `FileDescriptorProto.enum_type`, `EnumDescriptorProto.value`.
const ENUM_TYPE: i32 = 5;
const VALUE: i32 = 2;
/// Most letters by which a name may differ to be suggested.
const DISTANCE_MAX: usize = 4;

/// Explains the reason of an error; without one, lists all
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Explain {
    /// The reason; upper or lower case
    #[arg(value_name = "REASON")]
    reason: Option<String>,
}

/// A reason and what the API says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Reason {
    name: String,
    number: i32,
    lines: Vec<String>,
}

impl Explain {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`] with exit 64 when there is no such reason.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let reasons = reasons()?;
        let Some(asked) = &self.reason else {
            return reasons.iter().try_for_each(|reason| print(reason, context.json));
        };
        let name = asked.to_uppercase().replace('-', "_");
        match reasons.iter().find(|reason| reason.name == name) {
            Some(reason) => print(reason, context.json),
            None => Err(unknown(asked, &name, &reasons)),
        }
    }
}

fn print(reason: &Reason, json: bool) -> Result<(), Failure> {
    let Reason { name, number, lines } = reason;
    if json {
        return output::line(
            serde_json::json!({ "reason": name, "number": number, "text": lines.join("\n") }),
        );
    }
    output::line(format_args!("{name} ({number})\n  {}\n", lines.join("\n  ")))
}

/// Reads the reasons from the descriptors, which carry the comments of the proto files.
fn reasons() -> Result<Vec<Reason>, Failure> {
    let files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET)
        .map_err(|error| Failure::internal(format!("cannot read the descriptors: {error}")))?;
    let found = files.file.iter().filter(|file| file.package() == "annals.v1").find_map(reasons_in);
    found.ok_or_else(|| Failure::internal("the descriptors hold no reasons"))
}

fn reasons_in(file: &FileDescriptorProto) -> Option<Vec<Reason>> {
    let index = file.enum_type.iter().position(|of| of.name() == ENUM)?;
    let values = file.enum_type.get(index)?.value.iter().enumerate();
    let path =
        |value: usize| Some([ENUM_TYPE, i32::try_from(index).ok()?, VALUE, i32::try_from(value).ok()?]);
    let reason = |(value, descriptor): (usize, &prost_types::EnumValueDescriptorProto)| {
        let path = path(value)?;
        let mut locations = file.source_code_info.iter().flat_map(|info| &info.location);
        let comment = locations.find(|location| location.path == path)?.leading_comments();
        let lines = comment.lines().map(|line| line.trim().to_owned()).collect();
        Some(Reason { name: descriptor.name().to_owned(), number: descriptor.number(), lines })
    };
    // Zero is never sent.
    Some(values.filter(|(_, value)| value.number() != 0).filter_map(reason).collect())
}

fn unknown(asked: &str, name: &str, reasons: &[Reason]) -> Failure {
    let failure = Failure::new(Exit::Usage, format!("there is no reason `{asked}`"));
    let near = near(name, reasons);
    if near.is_empty() {
        return failure.hint("`annals explain` lists all reasons");
    }
    failure.hint(format!("did you mean {}?", near.join(" or ")))
}

/// Gives up to three names that are close: a part of the name, or few letters away.
fn near<'a>(name: &str, reasons: &'a [Reason]) -> Vec<&'a str> {
    let mut near: Vec<_> = reasons
        .iter()
        .map(|reason| {
            let is_part = !name.is_empty() && reason.name.contains(name);
            (if is_part { 0 } else { distance(name, &reason.name) }, reason.name.as_str())
        })
        .filter(|(distance, _)| *distance <= DISTANCE_MAX)
        .collect();
    near.sort_unstable();
    near.into_iter().take(3).map(|(_, name)| name).collect()
}

/// Counts the letters to add, drop or change to make one word of the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (index, left) in from.chars().enumerate() {
        let mut diagonal = index;
        let mut before = index + 1;
        let mut next = vec![before];
        for (right, above) in to.chars().zip(row.iter().skip(1)) {
            let changed = diagonal + usize::from(left != right);
            before = changed.min(above + 1).min(before + 1);
            diagonal = *above;
            next.push(before);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::ErrorReason;

    #[test]
    fn every_reason_is_explained() {
        let reasons = reasons().unwrap();
        let numbers = (1..).map_while(|number| ErrorReason::try_from(number).ok());
        let names: Vec<_> = numbers.map(|reason| reason.as_str_name()).collect();
        assert!(names.len() >= 25);
        let explained: Vec<_> = reasons.iter().map(|reason| reason.name.as_str()).collect();
        assert_eq!(explained, names);
        for reason in &reasons {
            let text = reason.lines.join(" ");
            assert!(text.contains('.') && text.len() > 30, "{reason:?}");
        }
        let first = &reasons[0];
        assert_eq!((first.name.as_str(), first.number), ("FIELD_INVALID", 1));
        assert!(first.lines[0].starts_with("INVALID_ARGUMENT. A field is malformed"), "{first:?}");
    }

    #[test]
    fn near_names_are_suggested() {
        fn check(asked: &str, expected: &[&str]) {
            assert_eq!(near(asked, &reasons().unwrap()), expected, "{asked}");
        }
        check("CONDITION_FALED", &["CONDITION_FAILED"]);
        check("TARGET", &["LINK_TARGET_CLOSED", "LINK_TARGET_KIND", "LINK_TARGET_UNKNOWN"]);
        check("DISKFULL", &["DISK_FULL"]);
        check("COMPLETELY_ELSEWHERE", &[]);
        check("", &[]);
    }

    #[test]
    fn an_unknown_reason_is_wrong_usage() {
        let failure = unknown("disk", "DISK", &reasons().unwrap());
        assert_eq!(failure.exit(), Exit::Usage);
        assert!(failure.to_string().contains("did you mean DISK_FULL?"), "{failure}");
    }

    #[test]
    fn distances() {
        fn check(from: &str, to: &str, expected: usize) {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
        check("", "", 0);
        check("", "abc", 3);
        check("abc", "", 3);
        check("kitten", "sitting", 3);
        check("abc", "abc", 0);
    }
}
