//! `annals visits`: visits, and who meets whom on them.

use clap::{Args, ValueEnum};

use super::client::call;
use super::failure::Failure;
use super::filter_args::FilterArgs;
use super::query_args::{ScopeArgs, WindowArgs};
use super::{Context, json, output, status, table, when};
use crate::pb::list_visits_request::Order;
use crate::pb::visit::Status;
use crate::pb::visit_caveat::Code;
use crate::pb::{
    GetVisitRequest, GetVisitResponse, ListMeetingsRequest, ListVisitsRequest, MetOnVisit, Participant,
    TimeSpan, VisitMeeting, VisitState,
};

const EXAMPLES: &str = "\
Examples:
  annals visits --visitor person:david-cameron
  annals visits --visited AL --from 1990 --to 2025 --status completed
  annals visits --overdue --on 2024-06-01
  annals visits --meetings --visitor person:david-cameron
  annals visits visit/gb-al-2024-05-cameron
  annals visits visit:gb-al-2024-05-cameron --known-at 2024-05-22 --json

A visit is where its determining state has it: the one with the greatest sequence, then the one known last.";

/// Visits of a page.
const PAGE: i32 = 200;

/// Lists visits or meetings, or shows one visit with its itinerary and its changes
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Visits {
    /// Show this one: its stream, or its identifier, which has a `:`
    #[arg(value_name = "STREAM|ID", conflicts_with_all = ["meetings", "visitors", "hosts", "persons", "met",
          "offices", "visited", "places", "statuses", "overdue", "duplicate_suspects", "order", "limit",
          "from", "to", "must"])]
    name: Option<String>,

    /// Entity that visits, or for whom a visitor acts; may be repeated
    #[arg(long = "visitor", value_name = "ID", help_heading = "Which visits")]
    visitors: Vec<String>,

    /// Entity that receives them; may be repeated
    #[arg(long = "host", value_name = "ID", help_heading = "Which visits")]
    hosts: Vec<String>,

    /// Entity that takes part in any role; may be repeated
    #[arg(long = "person", value_name = "ID", help_heading = "Which visits")]
    persons: Vec<String>,

    /// Entity that is met; may be repeated
    #[arg(long = "met", value_name = "ID", help_heading = "Which visits")]
    met: Vec<String>,

    /// Words of an office that a participant holds, such as "foreign secretary"; may be repeated
    #[arg(long = "office", value_name = "WORDS", help_heading = "Which visits")]
    offices: Vec<String>,

    /// Country visited, such as AL; may be repeated
    #[arg(long = "visited", value_name = "CODE", help_heading = "Which visits")]
    visited: Vec<String>,

    /// Place visited, by name or as scheme:value; may be repeated
    #[arg(long = "place", value_name = "PLACE", help_heading = "Which visits")]
    places: Vec<String>,

    /// Status, such as completed or under-way; may be repeated
    #[arg(long = "status", value_name = "STATUS", help_heading = "Which visits",
          value_parser = |text: &str| table::value_named(text, Status::from_str_name))]
    statuses: Vec<Status>,

    /// Only plans whose time has passed and that nobody confirmed
    #[arg(long, help_heading = "Which visits")]
    overdue: bool,

    /// Only visits that look the same as one of another stream
    #[arg(long, help_heading = "Which visits")]
    duplicate_suspects: bool,

    #[command(flatten)]
    filter: FilterArgs,

    #[command(flatten)]
    window: WindowArgs,

    /// Day by which a plan counts as overdue, written like --from; today unless given
    #[arg(long, value_name = "DATE", help_heading = "When it happened")]
    on: Option<String>,

    #[command(flatten)]
    scope: ScopeArgs,

    /// Show who meets whom instead of the visits
    #[arg(long, help_heading = "Output", conflicts_with_all = ["hosts", "offices", "visited", "places",
          "overdue", "duplicate_suspects", "on", "order"])]
    meetings: bool,

    /// Order of the visits
    #[arg(long, value_enum, default_value_t = OrderArg::Start, help_heading = "Output")]
    order: OrderArg,

    /// At most this many; all unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Output")]
    limit: Option<u32>,
}

/// Orders, as written on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OrderArg {
    /// By earliest start
    Start,
    /// By earliest start, latest first
    StartDescending,
}

impl Visits {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`] when the server refuses, or has no such visit.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        match &self.name {
            Some(name) => self.one(context, name).await,
            None if self.meetings => self.met(context).await,
            None => self.list(context).await,
        }
    }

    async fn one(&self, context: &Context, name: &str) -> Result<(), Failure> {
        // No name of a stream has a colon.
        let (stream, visit_id) = if name.contains(':') {
            (String::new(), name.to_owned())
        } else {
            (name.to_owned(), String::new())
        };
        let on = self.on.clone().unwrap_or_default();
        let request = GetVisitRequest { stream, visit_id, on, scope: self.scope.scope() };
        let answer = context.target.visits().await?.get_visit(call(request)).await;
        let answer = answer.map_err(|error| status::failure(&error))?.into_inner();
        if context.json { output::line(json::to_line(&answer)?) } else { detail(&answer) }
    }

    async fn list(&self, context: &Context) -> Result<(), Failure> {
        let mut request = self.request()?;
        let mut client = context.target.visits().await?;
        let mut rows =
            Rows::new(context.json, self.limit, &["when", "who", "status", "what", "stream", "mind"]);
        loop {
            let answer = client.list_visits(call(request.clone())).await;
            let page = answer.map_err(|error| status::failure(&error))?.into_inner();
            for visit in &page.visits {
                rows.add(visit, row)?;
            }
            // The only end mark: a page may be short, even empty.
            if rows.is_full() || page.next_page_token.is_empty() {
                return rows.end(("visit", "visits"), page.snapshot);
            }
            request.page_token = page.next_page_token;
        }
    }

    async fn met(&self, context: &Context) -> Result<(), Failure> {
        let mut request = ListMeetingsRequest {
            filter: self.filter.filter()?,
            valid: self.window.window(),
            visitors: self.visitors.clone(),
            counterparts: self.met.clone(),
            persons: self.persons.clone(),
            statuses: self.statuses.iter().map(|status| i32::from(*status)).collect(),
            page_size: PAGE,
            page_token: String::new(),
            scope: self.scope.scope(),
        };
        let mut client = context.target.visits().await?;
        let mut rows =
            Rows::new(context.json, self.limit, &["when", "who", "meets", "about", "status", "stream"]);
        loop {
            let answer = client.list_meetings(call(request.clone())).await;
            let page = answer.map_err(|error| status::failure(&error))?.into_inner();
            for meeting in &page.meetings {
                rows.add(meeting, met_row)?;
            }
            if rows.is_full() || page.next_page_token.is_empty() {
                return rows.end(("meeting", "meetings"), page.snapshot);
            }
            request.page_token = page.next_page_token;
        }
    }

    fn request(&self) -> Result<ListVisitsRequest, Failure> {
        let order = match self.order {
            OrderArg::Start => Order::Start,
            OrderArg::StartDescending => Order::StartDescending,
        };
        Ok(ListVisitsRequest {
            filter: self.filter.filter()?,
            valid: self.window.window(),
            persons: self.persons.clone(),
            visitors: self.visitors.clone(),
            hosts: self.hosts.clone(),
            offices: self.offices.clone(),
            countries: self.visited.clone(),
            places: self.places.clone(),
            statuses: self.statuses.iter().map(|status| i32::from(*status)).collect(),
            met: self.met.clone(),
            overdue_only: self.overdue,
            duplicate_suspects_only: self.duplicate_suspects,
            on: self.on.clone().unwrap_or_default(),
            order: order.into(),
            page_size: PAGE,
            page_token: String::new(),
            scope: self.scope.scope(),
        })
    }
}

/// Shows items as lines of JSON or as a table, up to a limit.
struct Rows {
    json: bool,
    left: Option<u32>,
    count: u64,
    table: comfy_table::Table,
}

impl Rows {
    fn new(json: bool, limit: Option<u32>, header: &[&str]) -> Self {
        Self { json, left: limit, count: 0, table: table::new(header) }
    }

    fn is_full(&self) -> bool {
        self.left == Some(0)
    }

    fn add<M: json::Named>(&mut self, item: &M, row: impl Fn(&M) -> Vec<String>) -> Result<(), Failure> {
        if self.is_full() {
            return Ok(());
        }
        self.left = self.left.map(|left| left.saturating_sub(1));
        self.count += 1;
        if self.json {
            return output::line(json::to_line(item)?);
        }
        self.table.add_row(row(item));
        Ok(())
    }

    fn end(&self, (one, many): (&str, &str), snapshot: u64) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        if self.count > 0 {
            output::line(self.table.trim_fmt())?;
        }
        output::line(format!("{} as of position {snapshot}", table::count(self.count, one, many)))
    }
}

fn time(span: Option<&TimeSpan>) -> String {
    output::plain(span.map_or("", |span| span.edtf.as_str())).into_owned()
}

/// Names a participant, with the office.
fn person(found: Option<&Participant>) -> String {
    let Some(found) = found else { return String::new() };
    let name = table::entity(found.entity.as_ref());
    if found.capacity.is_empty() { name } else { format!("{name} ({})", output::plain(&found.capacity)) }
}

fn people(found: &[Participant]) -> String {
    found.iter().map(|found| person(Some(found))).collect::<Vec<_>>().join(", ")
}

const fn mind(code: Code) -> &'static str {
    match code {
        Code::Unspecified => "",
        Code::SequenceNotIncreasing => "sequence not increasing",
        Code::Overdue => "overdue",
        Code::DuplicateSuspect => "duplicate suspect",
        Code::StopOutside => "stop outside",
    }
}

/// Gives a status in words; nothing where none is stated.
fn said(status: Status) -> String {
    if status == Status::Unspecified { String::new() } else { table::words(status.as_str_name()) }
}

fn row(visit: &VisitState) -> Vec<String> {
    let minded: Vec<&str> = visit.caveats.iter().map(|caveat| mind(caveat.code())).collect();
    vec![
        time(visit.valid_time.as_ref()),
        people(&visit.visitors),
        said(visit.status()),
        output::plain(&visit.title).into_owned(),
        output::plain(&visit.stream).into_owned(),
        minded.join(", "),
    ]
}

fn met_row(met: &MetOnVisit) -> Vec<String> {
    let none = VisitMeeting::default();
    let meeting = met.meeting.as_ref().unwrap_or(&none);
    let when = meeting.when.as_ref().or(met.valid_time.as_ref());
    vec![
        time(when),
        person(meeting.visitor.as_ref()),
        person(meeting.counterpart.as_ref()),
        output::plain(&meeting.topic).into_owned(),
        said(met.status()),
        output::plain(&met.stream).into_owned(),
    ]
}

/// Shows one visit.
fn detail(answer: &GetVisitResponse) -> Result<(), Failure> {
    let none = VisitState::default();
    let found = answer.visit.as_ref().unwrap_or(&none);
    let category = if found.category == 0 { "" } else { found.category().as_str_name() };
    let modality = if found.modality == 0 { "" } else { found.modality().as_str_name() };
    let sources: Vec<&str> = found.sources.iter().map(|source| source.id.as_str()).collect();
    table::facts(&[
        ("title", found.title.clone()),
        ("stream", found.stream.clone()),
        ("identifier", found.visit_id.clone()),
        ("when", time(found.valid_time.as_ref())),
        ("status", said(found.status())),
        ("modality", table::words(modality)),
        ("category", table::words(category)),
        ("purpose", found.purpose.clone()),
        ("visitors", people(&found.visitors)),
        ("hosts", people(&found.hosts)),
        ("deliverables", found.deliverables.join("; ")),
        ("sources", sources.join(", ")),
        ("cancelled by", found.cancelled_by.join(", ")),
        ("confirmed by", found.confirmed_by.join(", ")),
    ])?;
    let mut shown = table::new(&["stop", "when", "activity"]);
    for stop in &found.itinerary {
        shown.add_row([
            output::plain(stop.place.as_ref().map_or("", |place| place.name.as_str())).into_owned(),
            time(stop.when.as_ref()),
            output::plain(&stop.activity).into_owned(),
        ]);
    }
    table::below(&shown)?;
    let mut shown = table::new(&["who", "meets", "about", "when"]);
    for meeting in &found.meetings {
        shown.add_row([
            person(meeting.visitor.as_ref()),
            person(meeting.counterpart.as_ref()),
            output::plain(&meeting.topic).into_owned(),
            time(meeting.when.as_ref()),
        ]);
    }
    table::below(&shown)?;
    let mut shown = table::new(&["known at", "sequence", "status", "when", "holds", "position"]);
    for change in &answer.changes {
        let moved = if change.moved { " (moved)" } else { "" };
        shown.add_row([
            change.known_at.as_ref().map_or_else(String::new, when::format),
            change.sequence.to_string(),
            said(change.status()),
            format!("{}{moved}", time(change.valid_time.as_ref())),
            if change.determines { "yes".to_owned() } else { String::new() },
            change.position.to_string(),
        ]);
    }
    table::below(&shown)?;
    for caveat in &found.caveats {
        let names = output::plain(&caveat.names.join(", ")).into_owned();
        let names = if names.is_empty() { names } else { format!(": {names}") };
        output::line(format!("mind: {}{names}", output::plain(&caveat.text)))?;
    }
    output::line(format!("on {} as of position {}", table::day(answer.on.as_ref()), answer.snapshot))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::{EntityRef, VisitCaveat};

    #[test]
    fn rows_say_who_in_which_office_and_what_to_mind() {
        let entity = EntityRef { name: "N\u{7}".to_owned(), ..EntityRef::default() };
        let visitor =
            Participant { entity: Some(entity), capacity: "Minister".to_owned(), ..Participant::default() };
        let visit = VisitState {
            stream: "visit/x".to_owned(),
            status: Status::UnderWay.into(),
            visitors: vec![visitor],
            caveats: vec![VisitCaveat { code: Code::Overdue.into(), ..VisitCaveat::default() }],
            ..VisitState::default()
        };
        assert_eq!(row(&visit), ["", "N\u{FFFD} (Minister)", "under way", "", "visit/x", "overdue"]);
    }

    #[test]
    fn rows_end_at_the_limit() {
        let mut rows = Rows::new(false, Some(1), &["a"]);
        rows.add(&VisitState::default(), row).unwrap();
        assert!(rows.is_full());
        rows.add(&VisitState::default(), row).unwrap();
        assert_eq!((rows.count, rows.table.row_count()), (1, 1));
    }
}
