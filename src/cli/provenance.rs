//! `annals provenance`: what an event rests on, and what rests on an event or a source.

use clap::{ArgGroup, Args};

use super::client::call;
use super::failure::Failure;
use super::filter_args::FilterArgs;
use super::query_args::ScopeArgs;
use super::{Context, json, output, status, table};
use crate::pb::attribution::Kind;
use crate::pb::entry::Status;
use crate::pb::{
    Attribution, Dependent, EntityRef, Event, GetLineageRequest, GetLineageResponse, LineageNode, Link,
    ListDependentsRequest, ProvenanceLink, Source,
};

const EXAMPLES: &str = "\
Examples:
  annals provenance 018f9ee2-9300-700d-8061-6e6e616c730d
  annals provenance 018f9ee2-9300-700b-8061-6e6e616c730b --field statistical_release.observations[0].value
  annals provenance 018f9ee2-9300-700b-8061-6e6e616c730b --dependents
  annals provenance --of-source source:independent-cameron-albania --kind statement
  annals provenance --attributed-to org:gb-fcdo --known-at 2024-06-01

With an id: the event, its sources with quote and attribution, and the events that it rests on, nearest first.
Otherwise, or with --dependents: what rests on it, as a table.";

/// Dependents of a page.
const PAGE: i32 = 200;

/// Shows what an event rests on, or what rests on an event or a source
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
#[command(group(ArgGroup::new("root").required(true).args(["id", "of_source", "of_publisher", "attributed_to"])))]
pub struct Provenance {
    /// Id of an event
    #[arg(value_name = "ID")]
    id: Option<String>,

    /// Show what rests on the event, not what it rests on
    #[arg(long, requires = "id", conflicts_with = "field")]
    dependents: bool,

    /// Only sources that support this field of the event
    #[arg(long, value_name = "PATH", requires = "id")]
    field: Option<String>,

    /// Id of a source: events that name it, and what rests on them
    #[arg(long, value_name = "ID")]
    of_source: Option<String>,

    /// Entity that published a source
    #[arg(long, value_name = "ID")]
    of_publisher: Option<String>,

    /// Entity to whom a source ascribes what it says
    #[arg(long, value_name = "ID")]
    attributed_to: Option<String>,

    /// Links in a row that are followed [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..=100))]
    depth: Option<i32>,

    /// Of the dependents also those that no longer stand
    #[arg(long)]
    include_closed: bool,

    #[command(flatten)]
    filter: FilterArgs,

    #[command(flatten)]
    scope: ScopeArgs,
}

impl Provenance {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`] when the server refuses, or has no such event.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        match &self.id {
            Some(id) if !self.dependents => self.lineage(context, id).await,
            Some(_) | None => self.list(context).await,
        }
    }

    async fn lineage(&self, context: &Context, id: &str) -> Result<(), Failure> {
        let request = GetLineageRequest {
            event_id: id.to_owned(),
            field: self.field.clone().unwrap_or_default(),
            link_types: Vec::new(),
            depth: self.depth,
            scope: self.scope.scope(),
        };
        let answer = context.target.provenance().await?.get_lineage(call(request)).await;
        let answer = answer.map_err(|error| status::failure(&error))?.into_inner();
        if context.json {
            return output::line(json::to_line(&answer)?);
        }
        for node in &answer.nodes {
            lines_of(node, &answer).into_iter().try_for_each(output::line)?;
        }
        if answer.truncated {
            output::line("There is more than shown (--depth).")?;
        }
        Ok(())
    }

    async fn list(&self, context: &Context) -> Result<(), Failure> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let mut request = ListDependentsRequest {
            event_id: text(&self.id),
            source_id: text(&self.of_source),
            publisher_id: text(&self.of_publisher),
            attributed_to: text(&self.attributed_to),
            depth: self.depth,
            filter: self.filter.filter()?,
            include_closed: self.include_closed,
            scope: self.scope.scope(),
            page_size: PAGE,
            ..ListDependentsRequest::default()
        };
        let mut client = context.target.provenance().await?;
        let mut rows = table::new(&["distance", "id", "valid", "status", "what", "by"]);
        loop {
            let answer = client.list_dependents(call(request.clone())).await;
            let page = answer.map_err(|error| status::failure(&error))?.into_inner();
            for dependent in &page.dependents {
                if context.json {
                    output::line(json::to_line(dependent)?)?;
                } else {
                    rows.add_row(row(dependent));
                }
            }
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        if context.json { Ok(()) } else { output::line(rows.trim_fmt()) }
    }
}

fn row(dependent: &Dependent) -> Vec<String> {
    let none = Event::default();
    let event = dependent.event.as_ref().unwrap_or(&none);
    let by = dependent
        .via
        .iter()
        .map(|via| format!("{} {}", link_type(via.link.as_ref()), target(via.link.as_ref())));
    vec![
        dependent.distance.to_string(),
        event.id.clone(),
        table::valid_time(event),
        table::status(dependent.status()).to_owned(),
        output::plain(&event.title).into_owned(),
        by.collect::<Vec<_>>().join(", "),
    ]
}

/// Writes a node: the event, what became of it, its sources, and its links.
fn lines_of(node: &LineageNode, answer: &GetLineageResponse) -> Vec<String> {
    let none = Event::default();
    let event = node.event.as_ref().unwrap_or(&none);
    let mut lines = vec![
        format!("{}  {}", event.id, output::plain(&event.title)),
        format!("    {}, {}{}", table::kind(event), table::valid_time(event), became(node)),
    ];
    let sources =
        node.source_indexes.iter().filter_map(|index| event.sources.get(usize::try_from(*index).ok()?));
    lines.extend(sources.flat_map(source_lines));
    let links = answer.links.iter().filter(|link| link.from_event_id == event.id);
    lines.extend(links.map(link_line));
    lines
}

fn became(node: &LineageNode) -> String {
    match node.status() {
        Status::Unspecified | Status::Current => String::new(),
        status @ (Status::Corrected
        | Status::Superseded
        | Status::Retracted
        | Status::Duplicate
        | Status::Retraction) => {
            let by = node.replaced_by.join(", ");
            let by = if by.is_empty() { by } else { format!(" by {by}") };
            format!("; {}{by}", table::status(status))
        }
    }
}

fn source_lines(source: &Source) -> Vec<String> {
    let publisher = name_of(source.publisher.as_ref());
    let published = source.published.as_ref().map_or("", |time| time.edtf.as_str());
    let named = [publisher, source.title.as_str(), published, source.url.as_str()];
    let named: Vec<&str> = named.into_iter().filter(|part| !part.is_empty()).collect();
    let primary = if source.primary { " (first-hand)" } else { "" };
    let named = named.join(", ");
    let named = if named.is_empty() { source.id.as_str() } else { named.as_str() };
    let mut lines = vec![format!("    source: {}{primary}", output::plain(named))];
    if let Some(quote) = &source.quote {
        lines.push(format!("      \u{201c}{}\u{201d}", output::plain(&quote.exact)));
    }
    lines.extend(source.attribution.iter().map(attribution_line));
    lines
}

fn attribution_line(attribution: &Attribution) -> String {
    let kind = match attribution.kind() {
        Kind::Unspecified => "ascribed to",
        Kind::Said => "said by",
        Kind::AccordingTo => "according to",
        Kind::FiguresFrom => "figures from",
        Kind::ReportedBy => "reported by",
        Kind::Unattributed => "without a source, given by",
    };
    let wording = output::plain(&attribution.wording);
    let wording = if wording.is_empty() { String::new() } else { format!(" ({wording})") };
    format!("      {kind} {}{wording}", output::plain(name_of(attribution.by.as_ref())))
}

fn name_of(entity: Option<&EntityRef>) -> &str {
    entity.map_or("", |entity| if entity.name.is_empty() { &entity.id } else { &entity.name })
}

fn link_line(link: &ProvenanceLink) -> String {
    let how = if link.followed { "rests on" } else { "refers to" };
    let missing = if link.resolved { "" } else { " (not an event known then)" };
    let (kind, target) = (link_type(link.link.as_ref()), target(link.link.as_ref()));
    format!("    {how}: {kind} {target}{missing}")
}

fn link_type(link: Option<&Link>) -> &'static str {
    link.map_or("", |link| link.r#type().as_str_name())
}

fn target(link: Option<&Link>) -> String {
    let Some(link) = link else { return String::new() };
    let external = link.external.as_ref().map(|id| format!("{}:{}", id.scheme, id.value)).unwrap_or_default();
    let target = [link.event_id.as_str(), link.stream.as_str(), external.as_str()].concat();
    output::plain(&target).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::{LinkType, Quote};

    #[test]
    fn a_source_with_all_it_can_say() {
        let entity = |name: &str| Some(EntityRef { name: name.to_owned(), ..EntityRef::default() });
        let by = |kind: Kind, name: &str, wording: &str| Attribution {
            by: entity(name),
            kind: kind.into(),
            wording: wording.to_owned(),
        };
        let source = Source {
            publisher: entity("The Paper"),
            title: "A title".to_owned(),
            quote: Some(Quote { exact: "so\u{1b} it is".to_owned(), ..Quote::default() }),
            attribution: vec![by(Kind::Said, "A", ""), by(Kind::FiguresFrom, "B", "data of B")],
            primary: true,
            ..Source::default()
        };
        let expected = [
            "    source: The Paper, A title (first-hand)",
            "      \u{201c}so\u{fffd} it is\u{201d}",
            "      said by A",
            "      figures from B (data of B)",
        ];
        assert_eq!(source_lines(&source), expected);
    }

    #[test]
    fn links_and_what_became() {
        let link = Link { r#type: LinkType::DerivedFrom.into(), event_id: "x".to_owned(), ..Link::default() };
        let mut link =
            ProvenanceLink { link: Some(link), followed: true, resolved: true, ..Default::default() };
        assert_eq!(link_line(&link), "    rests on: DERIVED_FROM x");
        (link.followed, link.resolved) = (false, false);
        assert_eq!(link_line(&link), "    refers to: DERIVED_FROM x (not an event known then)");
        let node = LineageNode { status: 3, replaced_by: vec!["y".to_owned()], ..LineageNode::default() };
        assert_eq!(became(&node), "; superseded by y");
    }
}
