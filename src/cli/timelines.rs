//! `annals timelines`: questions saved under a name.

use clap::{Args, Subcommand};

use super::client::call;
use super::failure::Failure;
use super::filter_args::FilterArgs;
use super::query_args::{ScopeArgs, WindowArgs};
use super::{Context, json, output, status, table, when};
use crate::pb::{
    CreateTimelineRequest, DeleteTimelineRequest, GetTimelineRequest, ListTimelinesRequest, Timeline,
    UpdateTimelineRequest, ValidWindow,
};

const EXAMPLES: &str = "\
Examples:
  annals timelines create gb-al --title 'UK and Albania' --entity country:GB --entity country:AL --all-entities
  annals timelines list
  annals timelines get gb-al --as-of 100
  annals timelines update gb-al --title 'UK and Albania since 2022' --country AL --from 2022 --expected-revision 1
  annals timelines delete gb-al
  annals timeline --timeline gb-al

Any command that takes --entity takes --timeline, too. An update writes the whole timeline anew: what is left out \
becomes empty.";

/// Timelines of a page.
const PAGE: i32 = 200;

/// Saves questions under names, shows, changes and deletes them
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Timelines {
    #[command(subcommand)]
    what: What,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum What {
    /// Saves a new timeline
    Create(Written),
    /// Writes a timeline anew
    Update(Update),
    /// Shows a timeline, as it is or as it stood
    Get(Get),
    /// Lists timelines, as they are or as they stood
    List(ScopeArgs),
    /// Deletes a timeline; its history stays
    Delete(Delete),
}

#[derive(Args, Debug)]
struct Written {
    /// Name: 1 to 63 of a-z, 0-9 and -
    #[arg(value_name = "NAME")]
    id: String,

    /// Title
    #[arg(long)]
    title: String,

    /// Description
    #[arg(long, default_value = "")]
    description: String,

    #[command(flatten)]
    filter: FilterArgs,

    #[command(flatten)]
    window: WindowArgs,
}

#[derive(Args, Debug)]
struct Update {
    #[command(flatten)]
    written: Written,

    /// Only if this is its revision now
    #[arg(long, value_name = "REVISION", default_value_t = 0, hide_default_value = true)]
    expected_revision: u64,
}

#[derive(Args, Debug)]
struct Get {
    /// Name
    #[arg(value_name = "NAME")]
    id: String,

    #[command(flatten)]
    scope: ScopeArgs,
}

#[derive(Args, Debug)]
struct Delete {
    /// Name
    #[arg(value_name = "NAME")]
    id: String,

    /// Only if this is its revision now
    #[arg(long, value_name = "REVISION", default_value_t = 0, hide_default_value = true)]
    expected_revision: u64,
}

impl Written {
    fn timeline(&self) -> Result<Timeline, Failure> {
        Ok(Timeline {
            id: self.id.clone(),
            title: self.title.clone(),
            description: self.description.clone(),
            filter: self.filter.filter()?,
            valid: self.window.window(),
            ..Timeline::default()
        })
    }
}

impl Timelines {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`] when the server refuses, or has no such timeline.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        let mut client = context.target.timeline().await?;
        let failed = |error: tonic::Status| status::failure(&error);
        match &self.what {
            What::Create(written) => {
                let timeline = Some(written.timeline()?);
                let request = CreateTimelineRequest { timeline, ..CreateTimelineRequest::default() };
                let answer = client.create_timeline(call(request)).await.map_err(failed)?;
                show(context, &answer.into_inner().timeline.unwrap_or_default())
            }
            What::Update(update) => {
                let (timeline, expected_revision) =
                    (Some(update.written.timeline()?), update.expected_revision);
                let request =
                    UpdateTimelineRequest { timeline, expected_revision, ..UpdateTimelineRequest::default() };
                let answer = client.update_timeline(call(request)).await.map_err(failed)?;
                show(context, &answer.into_inner().timeline.unwrap_or_default())
            }
            What::Get(get) => {
                let request = GetTimelineRequest { timeline_id: get.id.clone(), scope: get.scope.scope() };
                let answer = client.get_timeline(call(request)).await.map_err(failed)?;
                show(context, &answer.into_inner().timeline.unwrap_or_default())
            }
            What::List(scope) => list(context, scope).await,
            What::Delete(delete) => {
                let (timeline_id, expected_revision) = (delete.id.clone(), delete.expected_revision);
                let request = DeleteTimelineRequest {
                    timeline_id,
                    expected_revision,
                    ..DeleteTimelineRequest::default()
                };
                let answer = client.delete_timeline(call(request)).await.map_err(failed)?.into_inner();
                if context.json {
                    return output::line(json::to_line(&answer)?);
                }
                output::line(format_args!("deleted, recorded at position {}", answer.position))
            }
        }
    }
}

async fn list(context: &Context, scope: &ScopeArgs) -> Result<(), Failure> {
    let mut client = context.target.timeline().await?;
    let mut request =
        ListTimelinesRequest { scope: scope.scope(), page_size: PAGE, page_token: String::new() };
    let mut rows = table::new(&["name", "title", "revision", "updated", "when"]);
    loop {
        let answer = client.list_timelines(call(request.clone())).await;
        let page = answer.map_err(|error| status::failure(&error))?.into_inner();
        for timeline in &page.timelines {
            if context.json {
                output::line(json::to_line(timeline)?)?;
            } else {
                rows.add_row(row(timeline));
            }
        }
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    if context.json { Ok(()) } else { output::line(rows.trim_fmt()) }
}

fn row(timeline: &Timeline) -> Vec<String> {
    vec![
        timeline.id.clone(),
        output::plain(&timeline.title).into_owned(),
        timeline.revision.to_string(),
        timeline.updated_at.as_ref().map_or_else(String::new, when::format),
        timeline.valid.as_ref().map_or_else(String::new, window),
    ]
}

fn window(window: &ValidWindow) -> String {
    let end = |text: &str| if text.is_empty() { "..".to_owned() } else { text.to_owned() };
    output::plain(&format!("{}/{}", end(&window.from), end(&window.to))).into_owned()
}

/// Shows a timeline, its filter as the API writes it.
fn show(context: &Context, timeline: &Timeline) -> Result<(), Failure> {
    if context.json {
        return output::line(json::to_line(timeline)?);
    }
    output::line(format_args!("{}: {}", timeline.id, output::plain(&timeline.title)))?;
    if !timeline.description.is_empty() {
        output::line(output::plain(&timeline.description))?;
    }
    let updated = timeline.updated_at.as_ref().map_or_else(String::new, when::format);
    let Timeline { revision, position, .. } = timeline;
    output::line(format_args!("revision {revision}, position {position}, {updated}"))?;
    let filter = timeline.filter.clone().unwrap_or_default();
    output::line(format_args!("filter {}", json::to_line(&filter)?))?;
    match &timeline.valid {
        Some(valid) => output::line(format_args!("when {}", window(valid))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_a_timeline() {
        let valid = ValidWindow { from: "2022".to_owned(), ..ValidWindow::default() };
        let timeline = Timeline {
            id: "gb-al".to_owned(),
            title: "UK\u{1b} and Albania".to_owned(),
            revision: 2,
            valid: Some(valid),
            ..Timeline::default()
        };
        assert_eq!(row(&timeline), ["gb-al", "UK\u{fffd} and Albania", "2", "", "2022/.."]);
    }
}
