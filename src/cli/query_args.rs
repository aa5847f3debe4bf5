//! Options that say when, and as known when.

use clap::Args;
use prost_types::Timestamp;

use super::when;
use crate::pb::valid_window::Match;
use crate::pb::{Scope, ValidWindow};

/// When it happened.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "When it happened")]
pub struct WindowArgs {
    /// First day, inclusive: 2022, 2022-05 or 2022-05-22
    #[arg(long, value_name = "DATE")]
    pub from: Option<String>,

    /// Day after the last, exclusive, written like --from
    #[arg(long, value_name = "DATE")]
    pub to: Option<String>,

    /// Only what certainly lies within, not what merely may
    #[arg(long)]
    pub must: bool,
}

impl WindowArgs {
    /// Makes the window; `None` when nothing was asked.
    #[must_use]
    pub fn window(&self) -> Option<ValidWindow> {
        if self.from.is_none() && self.to.is_none() && !self.must {
            return None;
        }
        Some(ValidWindow {
            from: self.from.clone().unwrap_or_default(),
            to: self.to.clone().unwrap_or_default(),
            r#match: if self.must { Match::Must } else { Match::May }.into(),
        })
    }
}

/// Which state of knowledge.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "As known when")]
pub struct ScopeArgs {
    /// As recorded at this position of the log
    #[arg(long, value_name = "POSITION")]
    pub as_of: Option<u64>,

    /// As the public could know it: at a time such as 2023-06-01T12:00:00Z, or by the end of a day such as
    /// 2023-06-01 (in UTC)
    #[arg(long, visible_alias = "as-known-at", value_name = "DATE|TIME", value_parser = when::parse)]
    pub known_at: Option<Timestamp>,
}

impl ScopeArgs {
    /// Makes the scope; `None` when nothing was asked.
    #[must_use]
    pub fn scope(&self) -> Option<Scope> {
        if self.as_of.is_none() && self.known_at.is_none() {
            return None;
        }
        Some(Scope { as_of_position: self.as_of.unwrap_or_default(), known_at: self.known_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_asked_is_no_window_and_no_scope() {
        assert_eq!(WindowArgs::default().window(), None);
        assert_eq!(ScopeArgs::default().scope(), None);
    }

    #[test]
    fn windows() {
        let window = WindowArgs { from: Some("2022".to_owned()), to: None, must: true }.window().unwrap();
        assert_eq!((window.from.as_str(), window.to.as_str()), ("2022", ""));
        assert_eq!(window.r#match(), Match::Must);
        let open = WindowArgs { to: Some("2025".to_owned()), ..WindowArgs::default() }.window().unwrap();
        assert_eq!((open.from.as_str(), open.r#match()), ("", Match::May));
    }

    #[test]
    fn scopes() {
        let scope = ScopeArgs { as_of: Some(7), known_at: None }.scope().unwrap();
        assert_eq!((scope.as_of_position, scope.known_at), (7, None));
    }
}
