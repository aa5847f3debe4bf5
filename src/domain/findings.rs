//! What is wrong with a request, and what is only unusual: all of it at once, each with its field path.

use std::fmt;

use super::CaveatCode;

/// Says that a field breaks a rule; the request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, for example `events[3].participants[0].role`.
    pub field: String,
    /// What the rule is, as a phrase after the field's name.
    pub description: String,
}

/// Says that a field is unusual but real; the event is taken, and keeps this remark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caveat {
    /// Path of the field within the event.
    pub field: String,
    /// What kind of remark.
    pub code: CaveatCode,
    /// The remark.
    pub text: String,
}

/// Most violations of a request that are kept.
pub const VIOLATIONS_KEPT: usize = 1_000;

/// A refused request: at least one violation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{count} invalid field(s), the first: {}", .violations.first().map_or_else(String::new, ToString::to_string))]
pub struct Invalid {
    /// The first of them, at most [`VIOLATIONS_KEPT`].
    pub violations: Vec<Violation>,
    /// How many there are.
    pub count: usize,
}

impl Invalid {
    /// Says that one field breaks a rule.
    #[must_use]
    pub fn one(field: impl Into<String>, description: impl Into<String>) -> Self {
        let violation = Violation { field: field.into(), description: description.into() };
        Self { violations: vec![violation], count: 1 }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.description)
    }
}

/// A step of a field path.
#[derive(Clone, Copy, Debug)]
enum Step {
    Field(&'static str),
    Index(&'static str, usize),
}

/// Collects findings under the path of the field that is being looked at.
///
/// The path is kept as steps and written out only when something is found: most fields are in order.
#[derive(Debug, Default)]
pub struct Findings {
    path: Vec<Step>,
    /// Steps that stand outside the event, which caveats leave out.
    outside: usize,
    violations: Vec<Violation>,
    /// All violations, also those that are not kept.
    count: usize,
    caveats: Vec<Caveat>,
}

impl Findings {
    /// Looks into a field.
    pub fn at<T>(&mut self, field: &'static str, look: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(Step::Field(field));
        let seen = look(self);
        self.path.pop();
        seen
    }

    /// Looks into one value of a repeated field.
    pub fn at_index<T>(&mut self, field: &'static str, index: usize, look: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(Step::Index(field, index));
        let seen = look(self);
        self.path.pop();
        seen
    }

    /// Looks into an event of the request: caveats found inside have paths that begin there.
    pub fn at_event<T>(&mut self, field: &'static str, index: usize, look: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.outside;
        self.outside = self.path.len() + 1;
        let seen = self.at_index(field, index, look);
        self.outside = before;
        seen
    }

    /// Records that the field here breaks a rule.
    pub fn violation(&mut self, description: impl fmt::Display) {
        self.break_rule(description, |findings| findings.written_path(0));
    }

    /// Records that the field with a path from the one here breaks a rule.
    pub fn violation_within(&mut self, path: &str, description: impl fmt::Display) {
        self.break_rule(description, |findings| match findings.written_path(0) {
            here if here.is_empty() => path.to_owned(),
            here => format!("{here}.{path}"),
        });
    }

    fn break_rule(&mut self, description: impl fmt::Display, field: impl FnOnce(&Self) -> String) {
        self.count += 1;
        // A hostile request has millions; the first tell enough.
        if self.violations.len() < VIOLATIONS_KEPT {
            let field = field(self);
            self.violations.push(Violation { field, description: description.to_string() });
        }
    }

    /// Records that a field inside the one here breaks a rule.
    pub fn violation_at(&mut self, field: &'static str, description: impl fmt::Display) {
        self.at(field, |f| f.violation(description));
    }

    /// Records that the field here is unusual.
    pub fn caveat(&mut self, code: CaveatCode, text: impl fmt::Display) {
        let field = self.written_path(self.outside);
        self.caveats.push(Caveat { field, code, text: text.to_string() });
    }

    /// Records that a field inside the one here is unusual.
    pub fn caveat_at(&mut self, field: &'static str, code: CaveatCode, text: impl fmt::Display) {
        self.at(field, |f| f.caveat(code, text));
    }

    /// Gives and forgets the caveats so far: those of one event.
    pub fn take_caveats(&mut self) -> Vec<Caveat> {
        std::mem::take(&mut self.caveats)
    }

    /// Tells how many violations there are.
    #[must_use]
    pub fn violation_count(&self) -> usize {
        self.count
    }

    /// Ends the look.
    ///
    /// # Errors
    /// [`Invalid`] with every violation, if there is one.
    pub fn into_result(self) -> Result<(), Invalid> {
        let Self { violations, count, .. } = self;
        if count == 0 { Ok(()) } else { Err(Invalid { violations, count }) }
    }

    fn written_path(&self, skip: usize) -> String {
        use fmt::Write as _;
        let mut written = String::new();
        for step in self.path.iter().skip(skip) {
            if !written.is_empty() {
                written.push('.');
            }
            match step {
                Step::Field(name) => written.push_str(name),
                Step::Index(name, index) => {
                    // Writing to a String cannot fail.
                    let _ = write!(written, "{name}[{index}]");
                }
            }
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_has_the_whole_path_and_a_caveat_the_path_within_its_event() {
        let mut findings = Findings::default();
        findings.at_event("events", 3, |f| {
            f.at_index("participants", 0, |f| f.violation_at("role", "must be set"));
            f.caveat_at("title", CaveatCode::Rounded, "so");
            f.violation_within("sources[1].id", "is not UTF-8");
        });
        assert_eq!(findings.take_caveats().first().map(|c| c.field.clone()), Some("title".into()));
        let Err(Invalid { violations, .. }) = findings.into_result() else { panic!("violations expected") };
        let fields: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["events[3].participants[0].role", "events[3].sources[1].id"]);
    }
}
