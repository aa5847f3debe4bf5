//! `annals agreements`: what state agreements are in on a day.

use clap::{Args, ValueEnum};

use super::client::call;
use super::failure::Failure;
use super::filter_args::FilterArgs;
use super::query_args::ScopeArgs;
use super::{Context, json, output, status, table};
use crate::pb::agreement_state::{Certainty, DateBasis, Status, Verdict};
use crate::pb::list_agreements_request::Order;
use crate::pb::{
    ActDate, AgreementState, GetAgreementRequest, GetAgreementResponse, ListAgreementsRequest, PartyState,
};

const EXAMPLES: &str = "\
Examples:
  annals agreements --between party:albania --in-force-on 1950-01-01
  annals agreements --between country:GB --between country:AL --on 2024-01-01
  annals agreements agreement/gb-al-returns --on 2024-01-01
  annals agreements agreement:gb-al-migration-2022 --known-at 2024-05-22
  annals agreements --status signed --status ratified --json | jq -r .title

Agreements are those that certainly or possibly answer; `possibly` marks a state that is not the only possible one.";

/// Agreements of a page.
const PAGE: i32 = 200;

/// Lists agreements and their state on a day, or shows one with its acts, parties and measures
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Agreements {
    /// Show this one: its stream, or its identifier, which has a `:`
    #[arg(value_name = "STREAM|ID", conflicts_with_all = ["between", "in_force_on", "statuses", "order", "limit"])]
    name: Option<String>,

    /// Entity id that is a party; repeated, all of them are
    #[arg(long, value_name = "ID", help_heading = "Which agreements")]
    between: Vec<String>,

    /// Only those that are, or may be, in force on this day: 2022, 2022-05 or 2022-05-22
    #[arg(long, value_name = "DATE", help_heading = "Which agreements")]
    in_force_on: Option<String>,

    /// How sure it is that they are in force
    #[arg(long, value_enum, requires = "in_force_on", help_heading = "Which agreements")]
    in_force: Option<InForce>,

    /// A status that is possible on the day, such as in-force; may be repeated
    #[arg(long = "status", value_name = "STATUS", help_heading = "Which agreements",
          value_parser = |text: &str| table::value_named(text, Status::from_str_name))]
    statuses: Vec<Status>,

    #[command(flatten)]
    filter: FilterArgs,

    /// Day of the state, written like --in-force-on; today unless given
    #[arg(long, value_name = "DATE", help_heading = "When")]
    on: Option<String>,

    /// Let acts count from the day on which they take effect, where it is given
    #[arg(long, help_heading = "When")]
    effective_dates: bool,

    #[command(flatten)]
    scope: ScopeArgs,

    /// Order of the agreements
    #[arg(long, value_enum, default_value_t = OrderArg::Stream, help_heading = "Output")]
    order: OrderArg,

    /// At most this many agreements; all unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Output")]
    limit: Option<u32>,
}

/// How sure it is that an agreement is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum InForce {
    /// Certainly
    Yes,
    /// Only possibly
    Possibly,
}

/// Orders, as written on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OrderArg {
    /// By name of the stream
    Stream,
    /// By first act
    FirstAct,
    /// By first act, latest first
    FirstActDescending,
}

impl Agreements {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`] when the server refuses, or has no such agreement.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        match &self.name {
            Some(name) => self.one(context, name).await,
            None => self.list(context).await,
        }
    }

    fn basis(&self) -> i32 {
        if self.effective_dates { DateBasis::EffectiveDate } else { DateBasis::ActDate }.into()
    }

    async fn one(&self, context: &Context, name: &str) -> Result<(), Failure> {
        // No name of a stream has a colon.
        let (stream, agreement_id) = if name.contains(':') {
            (String::new(), name.to_owned())
        } else {
            (name.to_owned(), String::new())
        };
        let request = GetAgreementRequest {
            stream,
            agreement_id,
            on: self.on.clone().unwrap_or_default(),
            scope: self.scope.scope(),
            date_basis: self.basis(),
        };
        let answer = context.target.agreements().await?.get_agreement(call(request)).await;
        let answer = answer.map_err(|error| status::failure(&error))?.into_inner();
        if context.json { output::line(json::to_line(&answer)?) } else { detail(&answer) }
    }

    async fn list(&self, context: &Context) -> Result<(), Failure> {
        let mut request = self.request()?;
        let mut client = context.target.agreements().await?;
        let mut rows = table::new(&["stream", "title", "status", "since", "until", "in force", "parties"]);
        let mut left = self.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let footer = loop {
            let answer = client.list_agreements(call(request.clone())).await;
            let page = answer.map_err(|error| status::failure(&error))?.into_inner();
            for agreement in page.agreements.iter().take(left) {
                if context.json {
                    output::line(json::to_line(agreement)?)?;
                } else {
                    rows.add_row(row(agreement));
                }
            }
            left = left.saturating_sub(page.agreements.len());
            // The only end mark: a page may be short.
            if left == 0 || page.next_page_token.is_empty() {
                let total = table::count(page.total_count.unsigned_abs(), "agreement", "agreements");
                break format!(
                    "{total} on {} as of position {}",
                    table::day(page.on.as_ref()),
                    page.snapshot
                );
            }
            request.page_token = page.next_page_token;
        };
        if context.json {
            return Ok(());
        }
        if rows.row_count() > 0 {
            output::line(rows.trim_fmt())?;
        }
        output::line(footer)
    }

    fn request(&self) -> Result<ListAgreementsRequest, Failure> {
        let in_force = match self.in_force {
            Some(InForce::Yes) => Verdict::Yes,
            Some(InForce::Possibly) => Verdict::Possibly,
            None => Verdict::Unspecified,
        };
        let order = match self.order {
            OrderArg::Stream => Order::Stream,
            OrderArg::FirstAct => Order::FirstAct,
            OrderArg::FirstActDescending => Order::FirstActDescending,
        };
        Ok(ListAgreementsRequest {
            filter: self.filter.filter()?,
            between: self.between.clone(),
            on: self.on.clone().unwrap_or_default(),
            in_force_on: self.in_force_on.clone().unwrap_or_default(),
            in_force: in_force.into(),
            statuses: self.statuses.iter().map(|status| i32::from(*status)).collect(),
            order: order.into(),
            page_size: PAGE,
            scope: self.scope.scope(),
            date_basis: self.basis(),
            ..ListAgreementsRequest::default()
        })
    }
}

fn standing(agreement: &AgreementState) -> String {
    let status = table::words(agreement.status().as_str_name());
    match agreement.certainty() {
        Certainty::Possible => format!("possibly {status}"),
        Certainty::Certain | Certainty::Unspecified => status,
    }
}

fn parties(agreement: &AgreementState) -> String {
    let named: Vec<String> =
        agreement.parties.iter().take(3).map(|party| table::entity(party.party.as_ref())).collect();
    let more = usize::try_from(agreement.party_count).unwrap_or_default().saturating_sub(named.len());
    let named = named.join(", ");
    if more > 0 { format!("{named} and {more} more") } else { named }
}

fn row(agreement: &AgreementState) -> Vec<String> {
    vec![
        output::plain(&agreement.stream).into_owned(),
        output::plain(&agreement.title).into_owned(),
        standing(agreement),
        table::day(agreement.since.as_ref()),
        table::day(agreement.until.as_ref()),
        table::words(agreement.in_force().as_str_name()),
        parties(agreement),
    ]
}

/// Shows one agreement.
fn detail(answer: &GetAgreementResponse) -> Result<(), Failure> {
    let none = AgreementState::default();
    let found = answer.agreement.as_ref().unwrap_or(&none);
    let possible: Vec<String> =
        found.possible_statuses().map(|status| table::words(status.as_str_name())).collect();
    let possible = if possible.len() > 1 { possible.join(", ") } else { String::new() };
    table::facts(&[
        ("title", found.title.clone()),
        ("stream", found.stream.clone()),
        ("identifier", found.agreement_id.clone()),
        ("subject", found.subject.clone()),
        ("form", said(found.form, found.form().as_str_name())),
        ("binding", said(found.binding, found.binding().as_str_name())),
        ("status", standing(found)),
        ("possible statuses", possible),
        ("in force", table::words(found.in_force().as_str_name())),
        ("since", table::day(found.since.as_ref())),
        ("until", table::day(found.until.as_ref())),
        ("expires on", table::day(found.expires_on.as_ref())),
        ("published", found.citations.join("; ")),
    ])?;
    let mut shown = table::new(&["when", "act", "by", "what"]);
    for act in &found.acts {
        let not = if act.counts { "" } else { "not " };
        shown.add_row([
            output::plain(&act.edtf).into_owned(),
            format!("{not}{}", table::words(act.action().as_str_name())),
            table::entity(act.acting_party.as_ref()),
            output::plain(&act.title).into_owned(),
        ]);
    }
    table::below(&shown)?;
    let mut shown = table::new(&["party", "signed", "consented", "in force", "left", "bound"]);
    shown.add_rows(found.parties.iter().map(party));
    table::below(&shown)?;
    let mut shown = table::new(&["measure", "acts"]);
    for provision in &found.provisions {
        let acts = provision.acts.iter().map(|act| {
            let action = table::words(act.action().as_str_name());
            format!("{action} {}", when(act.date.as_ref())).trim_end().to_owned()
        });
        shown.add_row([output::plain(&provision.name).into_owned(), acts.collect::<Vec<_>>().join(", ")]);
    }
    table::below(&shown)?;
    let mut shown = table::new(&["relation", "from", "to", "when"]);
    for relation in &found.relations {
        shown.add_row([
            table::words(relation.r#type().as_str_name()),
            output::plain(&relation.stream).into_owned(),
            output::plain(&relation.target).into_owned(),
            when(relation.date.as_ref()),
        ]);
    }
    table::below(&shown)?;
    for anomaly in &found.anomalies {
        output::line(format!("unusual: {}", output::plain(&anomaly.text)))?;
    }
    output::line(format!("on {} as of position {}", table::day(answer.on.as_ref()), answer.snapshot))
}

/// Gives the words of an enum that is stated.
fn said(number: i32, name: &str) -> String {
    if number == 0 { String::new() } else { table::words(name) }
}

fn party(party: &PartyState) -> Vec<String> {
    vec![
        table::entity(party.party.as_ref()),
        when(party.signed.as_ref()),
        when(party.consented.as_ref()),
        when(party.in_force.as_ref()),
        when(party.left.as_ref()),
        table::words(party.bound().as_str_name()),
    ]
}

/// Writes when something happened: one day, or the first and the last on which it may have.
fn when(date: Option<&ActDate>) -> String {
    let Some(date) = date else { return String::new() };
    let (earliest, latest) = (table::day(date.earliest.as_ref()), table::day(date.latest.as_ref()));
    if earliest == latest { earliest } else { format!("{earliest}..{latest}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::EntityRef;
    use crate::pb::google::r#type::Date;

    #[test]
    fn rows_say_how_sure_a_state_is_and_hold_no_control_characters() {
        let party = |id: &str| PartyState {
            party: Some(EntityRef { id: id.to_owned(), ..EntityRef::default() }),
            ..PartyState::default()
        };
        let agreement = AgreementState {
            stream: "agreement/x".to_owned(),
            title: "a\u{1b}b".to_owned(),
            status: Status::InForce.into(),
            certainty: Certainty::Possible.into(),
            in_force: Verdict::Possibly.into(),
            since: Some(Date { year: 2000, month: 1, day: 2 }),
            parties: ["a", "b", "c", "d"].map(party).to_vec(),
            party_count: 9,
            ..AgreementState::default()
        };
        let told = ["agreement/x", "a\u{FFFD}b", "possibly in force", "2000-01-02", "", "possibly"];
        assert_eq!(row(&agreement)[..6], told);
        assert_eq!(row(&agreement)[6], "a, b, c and 6 more");
    }

    #[test]
    fn dates_of_acts() {
        let date = |day| Some(Date { year: 2000, month: 1, day });
        let act = |earliest, latest| ActDate { earliest, latest, ..ActDate::default() };
        assert_eq!(when(Some(&act(date(1), date(1)))), "2000-01-01");
        assert_eq!(when(Some(&act(None, date(2)))), "..2000-01-02");
        assert_eq!(when(None), "");
    }
}
